import type { Build } from './build.ts'
import { unsupportedDevice } from './error.ts'
import { DEVICES, deviceId, oneOf } from './spec.ts'

const ACTIONS = ['reset', 'poweroff', 'shutdown'] as const

/** Something that acts when the guest no longer shows that it lives. */
export function addWatchdog({ plan, line, actions }: Build): void {
  const { watchdog } = plan.spec.domain.devices
  if (!watchdog) return
  const at = DEVICES.child('watchdog')
  if (watchdog.diag288) throw unsupportedDevice(at.child('diag288'), 'exists on s390x only: use i6300esb')
  const action = oneOf(watchdog.i6300esb?.action, ACTIONS, 'reset', at.child('i6300esb', 'action'))
  line.device(at, {
    driver: 'i6300esb',
    id: deviceId(watchdog.name, at.child('name')),
    bus: 'pcie.0',
    addr: '0x1c',
  })
  actions.push(['watchdog', action])
}
