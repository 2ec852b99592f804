import type { Vmi } from '../../kinds/kubevirt.ts'
import { findCondition } from '../../kinds/meta.ts'
import type { Condition } from '../../kinds/meta.ts'
import { replaceOwned, withCondition, withoutCondition } from '../conditions.ts'

/** Why a pass over a VM did not get what it wanted. */
export interface SyncFailure {
  reason: string
  message: string
}

/** What a VM's conditions are made from. */
export interface ConditionFacts {
  before: readonly Condition[]
  vmi: Vmi | undefined
  failure: SyncFailure | undefined
  /** Fields in which the template differs from what the VMI was started with; empty when they agree. */
  restartNeededFor: readonly string[]
  now: string
}

/** Conditions of a VM that are not copies of its VMI's. */
const OWN_TYPES = ['Ready', 'Failure', 'RestartRequired', 'ManualRecoveryRequired']

/** A VM's conditions. Source: contract 7.2, "VM conditions". */
export function buildVmConditions({
  before,
  vmi,
  failure,
  restartNeededFor,
  now,
}: ConditionFacts): Condition[] {
  const copied = vmi ? replaceOwned(before, isCopied, copiesFrom(vmi), now) : before
  const ready = withCondition(copied, readyOf(vmi), now)
  const failed = failure
    ? withCondition(ready, { type: 'Failure', status: 'True', ...failure }, now)
    : withoutCondition(ready, 'Failure')
  if (restartNeededFor.length === 0) return [...withoutCondition(failed, 'RestartRequired')]
  return [...withCondition(failed, restartRequired(restartNeededFor), now)]
}

function isCopied(type: string): boolean {
  return !OWN_TYPES.includes(type)
}

function copiesFrom({ status }: Vmi): Condition[] {
  return status?.conditions?.filter(({ type }) => isCopied(type)) ?? []
}

function readyOf(vmi: Vmi | undefined): Condition {
  const type = 'Ready'
  if (!vmi) {
    return { type, status: 'False', reason: 'VMINotExists', message: 'the VM has no VMI: it is not started' }
  }
  return (
    findCondition(vmi.status?.conditions, type) ?? {
      type,
      status: 'False',
      reason: 'VMIConditionMissing',
      message: 'the VMI does not say yet whether it is ready',
    }
  )
}

function restartRequired(fields: readonly string[]): Condition {
  const message = `restart the VM to make changes take effect in ${fields.join(', ')}`
  return { type: 'RestartRequired', status: 'True', reason: 'RestartRequired', message }
}
