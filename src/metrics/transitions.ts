/** How long VMIs and migrations take from phase to phase. Source: contract metrics.md, section 3. */
import { isFinal, type Vmi, type Vmim } from '../kinds/kubevirt.ts'
import { monotonicMs, type Clock } from '../lib/clock.ts'
import type { Metrics } from './exposition.ts'

interface Reached {
  phase: string
  phaseTransitionTimestamp: string
}

/** Takes in changes of objects, as their caches see them. */
export interface TransitionWatcher {
  vmi: (before: Vmi | undefined, after: Vmi | undefined) => void
  migration: (before: Vmim | undefined, after: Vmim | undefined) => void
}

/** Times are those in the objects, in whole seconds; `virtgate_` ones are taken here, when the changes arrive. */
export function watchTransitions(
  metrics: Metrics,
  clock: Pick<Clock, 'now' | 'monotonic'>,
): TransitionWatcher {
  const between = metrics.histogram('kubevirt_vmi_phase_transition_time_seconds')
  const fromCreation = metrics.histogram('kubevirt_vmi_phase_transition_time_from_creation_seconds')
  const fromDeletion = metrics.histogram('kubevirt_vmi_phase_transition_time_from_deletion_seconds')
  const fine = metrics.histogram('virtgate_vmi_phase_transition_seconds')
  const ofMigrations = metrics.histogram('kubevirt_vmi_migration_phase_transition_time_from_creation_seconds')
  const seenMs = new Map<string, number>()

  return {
    vmi(before, after) {
      if (!after) return void seenMs.delete(before?.metadata.uid ?? '')
      const { uid, creationTimestamp, deletionTimestamp } = after.metadata
      const { phase, phaseTransitionTimestamps: reached } = after.status ?? {}
      const lastPhase = before?.status?.phase
      if (before && phase === lastPhase) return
      const nowMs = monotonicMs(clock)
      const lastMs = seenMs.get(uid)
      seenMs.set(uid, nowMs)
      // What was there before us has changed when nobody saw it.
      if (!before || phase === undefined) return
      const now = reachedAt(reached, phase)
      if (lastMs !== undefined) fine.observe({ phase, last_phase: lastPhase ?? '' }, (nowMs - lastMs) / 1000)
      observe(now - Date.parse(creationTimestamp), (s) => fromCreation.observe({ phase }, s))
      if (lastPhase !== undefined) {
        const labels = { phase, last_phase: lastPhase }
        observe(now - reachedAt(reached, lastPhase), (s) => between.observe(labels, s))
      }
      if (isFinal(phase) && deletionTimestamp !== undefined) {
        observe(now - Date.parse(deletionTimestamp), (s) => fromDeletion.observe({ phase }, s))
      }
    },
    migration(before, after) {
      const { phase, phaseTransitionTimestamps: reached } = after?.status ?? {}
      if (!before || !after || !phase || phase === before.status?.phase) return
      const now = reachedAt(reached, phase)
      observe(now - Date.parse(after.metadata.creationTimestamp), (s) => ofMigrations.observe({ phase }, s))
    },
  }
}

/** Milliseconds since 1970; `NaN` where the object does not say. */
function reachedAt(reached: readonly Reached[] | undefined, phase: string): number {
  return Date.parse(reached?.findLast((one) => one.phase === phase)?.phaseTransitionTimestamp ?? '')
}

/** Clocks of two machines may differ by a moment. */
function observe(ms: number, take: (seconds: number) => void): void {
  if (!Number.isNaN(ms)) take(Math.max(0, ms / 1000))
}
