import { badRequest, conflict } from '../lib/errors.ts'
import type { RunStrategy } from '../kinds/kubevirt.ts'
import { VMS } from '../kinds/table.ts'
import { decodeOptions, type OptionFields, type Options } from './body.ts'
import { changeVm, type Change, type Situation } from './change.ts'
import { isDryRun } from './dry-run.ts'
import { VM } from './lookup.ts'
import { classOf, runStrategyOf, type VmiClass } from './run-strategy.ts'
import { stopOf } from './start.ts'
import type { Action, Call } from './subresource.ts'

const FIELDS = { gracePeriod: 'integer', dryRun: 'strings' } as const satisfies OptionFields

/** Shuts a VM down and keeps it down. Source: contract 3.4. */
export const stop: Action = {
  type: 'action',
  resource: VMS,
  name: 'stop',
  method: 'PUT',
  verb: 'update',
  kind: 'StopOptions',
  description: 'Stop a VirtualMachine.',
  success: 202,
  fields: FIELDS,
  run: stopVm,
}

async function stopVm(call: Call): Promise<void> {
  const options = decodeOptions(call.body, FIELDS)
  const { gracePeriod } = options
  if (gracePeriod !== undefined && gracePeriod < 0) {
    throw badRequest(`gracePeriod is in seconds and may not be negative, found ${gracePeriod}`)
  }
  const dryRun = isDryRun(call, stop.kind, options.dryRun)
  await changeVm(call, (situation) => ({ ...planStop(situation, options), dryRun }))
}

/** Decides first: a stop that is refused leaves the grace period as it was (contract: SP-3). */
function planStop({ vm, vmi }: Situation, { gracePeriod }: Options<typeof FIELDS>): Omit<Change, 'dryRun'> {
  const strategy = runStrategyOf(vm)
  const vmiClass = classOf(vmi)
  const what = decideStop(strategy, vmiClass, {
    uid: vmi?.metadata.uid,
    oldGrace: vmi?.spec.terminationGracePeriodSeconds,
    newGrace: gracePeriod,
  })
  if (!what) throw conflict(VM, vm.metadata.name, refusal(strategy, vmiClass))
  return { what, ...(isUp(vmiClass) && gracePeriod !== undefined && { graceSeconds: gracePeriod }) }
}

/**
 * What stopping means for a VM whose VMI is in this class; `undefined`: there is nothing to stop. Grace in seconds.
 * Source: contract 3.4, decision table; F24.
 */
export function decideStop(
  strategy: RunStrategy,
  vmi: VmiClass,
  given: { uid: string | undefined; oldGrace: number | undefined; newGrace: number | undefined },
): Change['what'] | undefined {
  switch (strategy) {
    case 'Halted':
      // It is on its way down already: only a shorter grace period is news.
      return isUp(vmi) && isShorter(given) ? { requests: [stopOf(given.uid)] } : undefined
    case 'Manual':
    case 'RerunOnFailure':
      return isUp(vmi) ? { requests: [stopOf(given.uid)] } : undefined
    case 'Always':
    case 'Once':
      return { strategy: 'Halted' }
    default:
      // WaitAsReceiver: what it waits for is not ours to stop.
      return undefined
  }
}

function isUp(vmi: VmiClass): boolean {
  return vmi === 'unknown' || vmi === 'active'
}

function isShorter({
  oldGrace,
  newGrace,
}: {
  oldGrace?: number | undefined
  newGrace?: number | undefined
}): boolean {
  return newGrace !== undefined && (oldGrace === undefined || newGrace < oldGrace)
}

function refusal(strategy: RunStrategy, vmi: VmiClass): string {
  if (strategy === 'WaitAsReceiver') return 'WaitAsReceiver does not support manual stop requests'
  return isUp(vmi) ? 'VM is being stopped already' : 'VM is not running'
}
