import type { Vmi } from '../../kinds/kubevirt.ts'
import { hasArchitecture, hasBridges, hasCpu, knowsMachine } from './capabilities.ts'
import { isBearable, isFarFromNeighbours, isNearNeighbours } from './neighbours.ts'
import { isReadable } from './selection.ts'
import { matchesNodeAffinity, reachesVolumes } from './node-affinity.ts'
import { shortages } from './resources.ts'
import { rank } from './scores.ts'
import type { Candidate, Placement, Rule, Situation } from './situation.ts'
import { keepsSpread } from './spread.ts'
import { isOpen, toleratesTaints } from './taints.ts'

/** What a node has to meet, in the order in which it is looked at: the first that is not met is told. */
const RULES: readonly Rule[] = [
  isReadable,
  isOpen,
  toleratesTaints,
  matchesNodeAffinity,
  hasArchitecture,
  knowsMachine,
  hasCpu,
  hasBridges,
  reachesVolumes,
  (_vmi, { unfit }) => unfit,
]

/** Those that look at other guests come after what there is room for. */
const NEIGHBOUR_RULES: readonly Rule[] = [isNearNeighbours, isFarFromNeighbours, isBearable, keepsSpread]

/** Of the nodes that meet all demands, the one that meets most preferences; the emptiest among equals, then by name. */
export const placeByRules: Placement = (vmi, situation) => {
  const refusals: string[] = []
  const fitting = situation.candidates.filter((candidate) => {
    const found = refusalsOf(vmi, candidate, situation)
    refusals.push(...found)
    return found.length === 0
  })
  const [best] = rank(vmi, fitting, situation)
  if (best) return { nodeName: best.node.metadata.name }
  return { refusal: summarize(situation.candidates.length, refusals) }
}

function refusalsOf(vmi: Vmi, candidate: Candidate, situation: Situation): string[] {
  const first = firstRefusal(RULES, vmi, candidate, situation)
  if (first !== undefined) return [first]
  const short = shortages(vmi, candidate, situation)
  if (short.length > 0) return short
  const last = firstRefusal(NEIGHBOUR_RULES, vmi, candidate, situation)
  return last === undefined ? [] : [last]
}

function firstRefusal(
  rules: readonly Rule[],
  vmi: Vmi,
  candidate: Candidate,
  situation: Situation,
): string | undefined {
  for (const rule of rules) {
    const refusal = rule(vmi, candidate, situation)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** In the words that people know from kube-scheduler: `0/2 nodes are available: 2 Insufficient memory.` */
function summarize(total: number, refusals: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const refusal of refusals) counts.set(refusal, (counts.get(refusal) ?? 0) + 1)
  const reasons = [...counts].map(([refusal, count]) => `${count} ${refusal}`).sort()
  return `0/${total} nodes are available${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}.`
}
