import { isFinal } from '../../kinds/kubevirt.ts'
import type { PhaseTransition, Vmi, VmiPhase } from '../../kinds/kubevirt.ts'

/** The way of a guest that lives. */
const WAY: readonly (VmiPhase | undefined)[] = ['Pending', 'Scheduling', 'Scheduled', 'Running']

/**
 * The VMI in a later phase, each phase passed on the way recorded with its time. The same VMI where that would
 * lead back or out of a final phase. Source: contract 7.4.
 */
export function advance(vmi: Vmi, to: VmiPhase, now: string): Vmi {
  const from = vmi.status?.phase || undefined
  const passed = phasesBetween(from, to)
  if (passed.length === 0) return vmi
  const times: PhaseTransition[] = passed.map((phase) => ({ phase, phaseTransitionTimestamp: now }))
  const before = vmi.status?.phaseTransitionTimestamps ?? []
  return { ...vmi, status: { ...vmi.status, phase: to, phaseTransitionTimestamps: [...before, ...times] } }
}

function phasesBetween(from: VmiPhase | undefined, to: VmiPhase): VmiPhase[] {
  if (isFinal(from) || from === to) return []
  // Nothing can be said of the guest, or can be said again.
  if (isFinal(to) || to === 'Unknown' || from === 'Unknown') return [to]
  return WAY.slice(WAY.indexOf(from) + 1, WAY.indexOf(to) + 1).flatMap((phase) => phase ?? [])
}
