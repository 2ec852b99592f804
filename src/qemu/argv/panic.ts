import type { Build } from './build.ts'
import { needsKvm } from './error.ts'
import { DEVICES, oneOf } from './spec.ts'

const MODELS = ['isa', 'pvpanic', 'hyperv'] as const

/** Ways for the guest's kernel to say that it crashed; the guest is then paused, so that it can be looked at. */
export function addPanicDevices({ plan, line, cpuFlags, actions }: Build): void {
  const { panicDevices = [] } = plan.spec.domain.devices
  panicDevices.forEach((device, index) => {
    const at = DEVICES.child('panicDevices').index(index)
    const model = oneOf(device.model, MODELS, 'isa', at.child('model'))
    if (model === 'isa') line.device(at, { driver: 'pvpanic', id: 'panic-isa' })
    else if (model === 'pvpanic')
      line.device(at, { driver: 'pvpanic-pci', id: 'panic-pci', bus: 'pcie.0', addr: '0x1e' })
    else if (plan.accelerator === 'kvm') cpuFlags.push('hv-crash=on')
    else
      throw needsKvm(
        at.child('model'),
        'hyperv needs KVM, which does not work on this node: use pvpanic or isa',
      )
  })
  if (panicDevices.length > 0) actions.push(['panic', 'pause'])
}
