import { findCondition } from '../kinds/meta.ts'
import type { Condition } from '../kinds/meta.ts'

/**
 * The list with `wanted` in place of the condition of its type, which keeps its position and, while its status
 * is the same, its `lastTransitionTime`. The same list where nothing differs.
 */
export function withCondition(
  conditions: readonly Condition[],
  wanted: Condition,
  now: string,
): readonly Condition[] {
  const present = conditions.find(({ type }) => type === wanted.type)
  if (present && isSameObservation(present, wanted)) return conditions
  const since = present?.status === wanted.status ? present.lastTransitionTime : undefined
  const next = {
    lastProbeTime: null,
    ...wanted,
    lastTransitionTime: since ?? wanted.lastTransitionTime ?? now,
  }
  return present
    ? conditions.map((condition) => (condition === present ? next : condition))
    : [...conditions, next]
}

/** The list without the condition of that type; the same list where it has none. */
export function withoutCondition(conditions: readonly Condition[], type: string): readonly Condition[] {
  return conditions.some((condition) => condition.type === type)
    ? conditions.filter((condition) => condition.type !== type)
    : conditions
}

/**
 * The list in which the conditions of the types that `isOwned` tells are exactly `wanted`: others of these
 * types are removed.
 */
export function replaceOwned(
  conditions: readonly Condition[],
  isOwned: (type: string) => boolean,
  wanted: readonly Condition[],
  now: string,
): readonly Condition[] {
  const kept = conditions.filter(({ type }) => !isOwned(type) || findCondition([...wanted], type))
  return wanted.reduce<readonly Condition[]>((list, condition) => withCondition(list, condition, now), kept)
}

function isSameObservation(left: Condition, right: Condition): boolean {
  return (
    left.status === right.status &&
    (left.reason ?? '') === (right.reason ?? '') &&
    (left.message ?? '') === (right.message ?? '')
  )
}
