import { badRequest, conflict } from '../lib/errors.ts'
import type { RunStrategy } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { changeVm, type Change, type Situation } from './change.ts'
import { isDryRun } from './dry-run.ts'
import { VM } from './lookup.ts'
import { refuseWhileVolumesMove } from './recovery.ts'
import { runStrategyOf } from './run-strategy.ts'
import { stopOf } from './start.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { gracePeriodSeconds: 'integer', dryRun: 'strings' } as const satisfies OptionFields

/** What a forced restart sets. Source: contract 3.5, step 8. */
const FORCED_GRACE_SECONDS = 1

/** Replaces the guest of a VM by a new one. Source: contract 3.5. */
export const restart: Action = {
  type: 'action',
  resource: VMS,
  name: 'restart',
  method: 'PUT',
  verb: 'update',
  kind: 'RestartOptions',
  description: 'Restart a VirtualMachine.',
  success: 202,
  fields: FIELDS,
  run: restartVm,
}

async function restartVm(call: Call): Promise<void> {
  const { gracePeriodSeconds, dryRun } = decodeOptions(call.body, FIELDS)
  if (gracePeriodSeconds !== undefined && gracePeriodSeconds !== 0) {
    throw badRequest(
      `gracePeriodSeconds may only be 0, which forces the restart, found ${gracePeriodSeconds}`,
    )
  }
  const isForced = gracePeriodSeconds === 0
  const isDry = isDryRun(call, restart.kind, dryRun)
  await changeVm(call, (situation) => ({
    what: planRestart(situation),
    dryRun: isDry,
    ...(isForced && { graceSeconds: FORCED_GRACE_SECONDS }),
  }))
}

function planRestart({ vm, vmi }: Situation): Change['what'] {
  const { name } = vm.metadata
  refuseWhileVolumesMove(vm)
  const strategy = runStrategyOf(vm)
  if (!mayRestart(strategy)) throw conflict(VM, name, `${strategy} does not support manual restart requests`)
  if (!vmi) throw conflict(VM, name, 'VM is not running')
  return { requests: [stopOf(vmi.metadata.uid), { action: 'Start' }] }
}

/** Whether a VM that is kept like this can be restarted by hand. Source: contract 3.5, decision table. */
export function mayRestart(strategy: RunStrategy): boolean {
  return strategy !== 'Halted' && strategy !== 'Once'
}
