import { isGuestMachine } from '../machine-type.ts'
import type { Build } from './build.ts'
import type { Pair } from './command-line.ts'
import { unsupportedDevice } from './error.ts'
import { checkName, DOMAIN, oneOf, SPEC } from './spec.ts'

const ARCHITECTURE = 'amd64'
/** QEMU gives up what it will not need: new privileges, other programs, the scheduling of others. */
const SANDBOX: readonly Pair[] = [
  ['obsolete', 'deny'],
  ['elevateprivileges', 'deny'],
  ['spawn', 'deny'],
  ['resourcecontrol', 'deny'],
]

/**
 * What every guest's QEMU is started with: nothing of its own choice, its CPUs stopped until they are told to run,
 * and left standing when the guest powers off, so that this can be seen later.
 */
export function addBase({ plan, line }: Build): void {
  const namespace = checkName(plan.namespace, SPEC)
  const name = checkGuestName(plan.name)
  line.keyed('-name', [
    ['guest', `${namespace}_${name}`],
    ['process', `vm:${namespace}/${name}`],
    ['debug-threads', true],
  ])
  line.flag('-nodefaults', '-no-user-config', '-no-shutdown', '-S')
  if (plan.incoming) line.text('-incoming', 'defer')
  line.keyed('-msg', [['timestamp', true]])
  line.text('-pidfile', `${plan.paths.runDir}/qemu.pid`)
  line.keyed('-sandbox', SANDBOX, 'on')
}

/** Parts of `-machine`. Throws `UnsupportedDevice` for one that the devices here do not fit. */
export function addMachine({ plan, machine, actions }: Build): void {
  const { architecture, domain } = plan.spec
  if (architecture && architecture !== ARCHITECTURE) {
    throw unsupportedDevice(
      SPEC.child('architecture'),
      `this node runs guests for ${ARCHITECTURE} only: use that`,
    )
  }
  if (!isGuestMachine(plan.machineType)) {
    throw unsupportedDevice(
      DOMAIN.child('machine', 'type'),
      `${JSON.stringify(plan.machineType)} is no machine of this node: use q35`,
    )
  }
  machine.unshift(['accel', plan.accelerator], ['usb', false], ['vmport', false], ['dump-guest-core', false])
  const policy = oneOf(domain.rebootPolicy, ['Reboot', 'Terminate'], 'Reboot', DOMAIN.child('rebootPolicy'))
  if (policy === 'Terminate') actions.push(['reboot', 'shutdown'])
}

/** Names of objects are longer than those of devices. */
function checkGuestName(name: string): string {
  for (const part of name.split('.')) checkName(part, SPEC)
  return name
}
