import { conflict } from '../lib/errors.ts'
import type { RunStrategy, StateChangeRequest } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { changeVm, type Change, type Situation } from './change.ts'
import { isDryRun } from './dry-run.ts'
import { VM } from './lookup.ts'
import { refuseWhileVolumesMove } from './recovery.ts'
import { classOf, runStrategyOf, type VmiClass } from './run-strategy.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { paused: 'boolean', dryRun: 'strings' } as const satisfies OptionFields

/** Starts a VM that does not run. Source: contract 3.3. */
export const start: Action = {
  type: 'action',
  resource: VMS,
  name: 'start',
  method: 'PUT',
  verb: 'update',
  kind: 'StartOptions',
  description: 'Start a VirtualMachine.',
  success: 202,
  fields: FIELDS,
  run: (call) => changeVm(call, (situation) => planStart(call, situation)),
}

/** In the contract's order: what the VM's state forbids is said before what is wrong with the body. */
function planStart(call: Call, { vm, vmi, stranger }: Situation): Change {
  const { name } = vm.metadata
  if (stranger) {
    throw conflict(VM, name, 'a VirtualMachineInstance of that name exists that does not belong to it')
  }
  const vmiClass = classOf(vmi)
  if (vmiClass === 'active') throw conflict(VM, name, 'VM is already running')
  refuseWhileVolumesMove(vm)
  const { paused = false, dryRun } = decodeOptions(call.body, FIELDS)
  const strategy = runStrategyOf(vm)
  const what = decideStart(strategy, vmiClass, { paused, uid: vmi?.metadata.uid })
  if (!what) throw conflict(VM, name, refusal(strategy, vmiClass))
  return { what, dryRun: isDryRun(call, start.kind, dryRun) }
}

/**
 * What starting means for a VM whose VMI is in this class; `undefined`: it cannot be started by hand.
 * Source: contract 3.3, decision table; ST-3.
 */
export function decideStart(
  strategy: RunStrategy,
  vmi: Exclude<VmiClass, 'active'>,
  { paused, uid }: { paused: boolean; uid: string | undefined },
): Change['what'] | undefined {
  const begin: StateChangeRequest = { action: 'Start', ...(paused && { data: { paused: 'true' } }) }
  switch (strategy) {
    case 'Halted':
      return paused ? { requests: [begin] } : { strategy: 'Always' }
    case 'RerunOnFailure':
      if (vmi === 'failed') return undefined
      return { requests: isOver(vmi) ? [stopOf(uid), begin] : [begin] }
    case 'Manual':
      return { requests: isOver(vmi) ? [stopOf(uid), begin] : [begin] }
    default:
      // Always and Once start by themselves, WaitAsReceiver on the other side's word.
      return undefined
  }
}

/** A Stop that is meant for this VMI alone. */
export function stopOf(uid: string | undefined): StateChangeRequest {
  return { action: 'Stop', ...(uid !== undefined && { uid }) }
}

function isOver(vmi: VmiClass): boolean {
  return vmi === 'succeeded' || vmi === 'failed'
}

function refusal(strategy: RunStrategy, vmi: VmiClass): string {
  return strategy === 'RerunOnFailure' && vmi === 'failed'
    ? 'RerunOnFailure starts it again by itself after a failure'
    : `${strategy} does not support manual start requests`
}
