import { formatTime } from '../../lib/clock.ts'
import { copyJson, isSameJson } from '../../lib/json.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { Condition } from '../../kinds/meta.ts'
import { VMIS } from '../../kinds/table.ts'
import { withCondition, withoutCondition } from '../conditions.ts'
import type { VmiContext } from './context.ts'
import { readyConditionOf } from './ready.ts'
import type { ReadyFacts } from './ready.ts'

/** Milliseconds a node may be away before its guests count as not ready. As Kubernetes' node monitor grace. */
export const NODE_GRACE_MS = 40_000

/** The time of this pass, as it is written into objects. */
export function nowOf({ clock }: Pick<VmiContext, 'clock'>): string {
  return formatTime(clock.now())
}

/** The VMI with that condition. */
export function setCondition(vmi: Vmi, condition: Condition, now: string): Vmi {
  const conditions = withCondition(vmi.status?.conditions ?? [], condition, now)
  return { ...vmi, status: { ...vmi.status, conditions: [...conditions] } }
}

/** The VMI without the condition of that type. */
export function dropCondition(vmi: Vmi, type: string): Vmi {
  const conditions = withoutCondition(vmi.status?.conditions ?? [], type)
  return { ...vmi, status: { ...vmi.status, conditions: [...conditions] } }
}

/** The VMI with its `Ready` as it follows from the rest. */
export function withReadiness(vmi: Vmi, facts: ReadyFacts, now: string): Vmi {
  return setCondition(vmi, readyConditionOf(vmi, facts), now)
}

/**
 * Stores what differs from `before`; returns the VMI as stored. Throws 409 where it has changed since it was
 * read: the pass is then done anew.
 */
export async function writeVmi({ store }: Pick<VmiContext, 'store'>, before: Vmi, after: Vmi): Promise<Vmi> {
  const next = copyJson(after)
  return isSameJson(next, before) ? before : store.update(VMIS, next)
}
