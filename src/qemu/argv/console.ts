import { type Build, virtioDriver, virtioPlace } from './build.ts'
import type { Pair } from './command-line.ts'
import { DEVICES } from './spec.ts'

/** The control sockets: one for all work, one to look with when the first is in doubt. Source: contract 2.1. */
export function addMonitors({ plan, line }: Build): void {
  for (const [id, file] of [
    ['mon0', 'qmp.sock'],
    ['mon1', 'qmp-aux.sock'],
  ] as const) {
    line.socket(id, `${plan.paths.runDir}/${file}`)
    line.keyed('-mon', [
      ['chardev', id],
      ['mode', 'control'],
    ])
  }
}

/** The serial console at `serial0.sock`; what it prints is kept in `serial0.log`, whoever listens. */
export function addSerialConsole({ plan, line }: Build): void {
  const { autoattachSerialConsole, logSerialConsole } = plan.spec.domain.devices
  if (autoattachSerialConsole === false) return
  const log: Pair[] = [
    ['logfile', `${plan.paths.stateDir}/serial0.log`],
    ['logappend', true],
  ]
  line.socket('ser0', `${plan.paths.runDir}/serial0.sock`, ...(logSerialConsole === false ? [] : log))
  line.device(DEVICES.child('autoattachSerialConsole'), {
    driver: 'isa-serial',
    id: 'serial0',
    chardev: 'ser0',
    index: 0,
  })
}

/** The channel that an agent in the guest answers on, at `qga.sock`. */
export function addGuestAgent(build: Build): void {
  const { plan, line } = build
  line.device(DEVICES, {
    driver: virtioDriver(build, 'serial'),
    id: 'vs0',
    ...virtioPlace(build, 'vs0', DEVICES),
  })
  line.socket('qga0', `${plan.paths.runDir}/qga.sock`)
  line.device(DEVICES, {
    driver: 'virtserialport',
    id: 'channel0',
    bus: 'vs0.0',
    nr: 1,
    chardev: 'qga0',
    name: 'org.qemu.guest_agent.0',
  })
}
