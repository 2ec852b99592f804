import type { Vmi } from '../../kinds/kubevirt.ts'
import { neighbourPreference } from './neighbours.ts'
import { nodePreference } from './node-affinity.ts'
import { freeShare } from './resources.ts'
import type { Candidate, Situation } from './situation.ts'
import { spreadPreference } from './spread.ts'
import { unwelcome } from './taints.ts'

type Score = (vmi: Vmi, candidate: Candidate, situation: Situation) => number

/** Preferences with their weights. Source: the default plugins of kube-scheduler. */
const SCORES: readonly { weight: number; score: Score }[] = [
  { weight: 3, score: ({ spec }, { node }) => -unwelcome(spec, node) },
  { weight: 2, score: (vmi, { node }) => nodePreference(vmi, node) },
  { weight: 2, score: (vmi, { node }, situation) => neighbourPreference(vmi, node, situation) },
  { weight: 2, score: (vmi, { node }, situation) => -spreadPreference(vmi, node, situation) },
]

/** The candidates, the best first. Each preference counts from 0 to 1 between the worst and the best node. */
export function rank(vmi: Vmi, candidates: readonly Candidate[], situation: Situation): Candidate[] {
  const totals = new Map<Candidate, number>(candidates.map((candidate) => [candidate, 0]))
  for (const { weight, score } of SCORES) {
    const scores = candidates.map((candidate) => score(vmi, candidate, situation))
    const [worst, best] = [Math.min(...scores), Math.max(...scores)]
    if (worst === best) continue
    for (const [at, candidate] of candidates.entries()) {
      const share = ((scores[at] ?? worst) - worst) / (best - worst)
      totals.set(candidate, (totals.get(candidate) ?? 0) + weight * share)
    }
  }
  const free = new Map(candidates.map((candidate) => [candidate, freeShare(vmi, candidate, situation)]))
  const valueOf = (of: Map<Candidate, number>, candidate: Candidate): number => of.get(candidate) ?? 0
  return candidates.toSorted(
    (one, other) =>
      valueOf(totals, other) - valueOf(totals, one) ||
      valueOf(free, other) - valueOf(free, one) ||
      (one.node.metadata.name < other.node.metadata.name ? -1 : 1),
  )
}
