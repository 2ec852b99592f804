import type { Node } from '../../kinds/core.ts'
import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { isSelected } from './node-affinity.ts'
import { isSelectedBy, ownLabels } from './selection.ts'
import { toleratesTaints } from './taints.ts'
import type { Candidate, Rule, Situation } from './situation.ts'

type Constraint = NonNullable<VmiSpec['topologySpreadConstraints']>[number]

/** A guest goes where its group stays spread as its constraints demand. Source: "Pod Topology Spread Constraints". */
export const keepsSpread: Rule = (vmi, { node }, situation) => {
  const constraints = (vmi.spec.topologySpreadConstraints ?? []).filter(isRequired)
  const isUnlabelled = constraints.some(({ topologyKey }) => domainOf(node, topologyKey) === undefined)
  if (isUnlabelled) return "node(s) didn't match pod topology spread constraints (missing required label)"
  return constraints.some((constraint) => skewAt(vmi, constraint, node, situation) > constraint.maxSkew)
    ? "node(s) didn't match pod topology spread constraints"
    : undefined
}

/** How uneven the guest's group would be there by its preferences; 0 is best. */
export function spreadPreference(vmi: Vmi, node: Node, situation: Situation): number {
  const constraints = (vmi.spec.topologySpreadConstraints ?? []).filter((one) => !isRequired(one))
  return constraints
    .filter(({ topologyKey }) => domainOf(node, topologyKey) !== undefined)
    .reduce((sum, constraint) => sum + Math.max(0, skewAt(vmi, constraint, node, situation)), 0)
}

function isRequired({ whenUnsatisfiable }: Constraint): boolean {
  return whenUnsatisfiable !== 'ScheduleAnyway'
}

function domainOf({ metadata }: Node, topologyKey: string): string | undefined {
  return metadata.labels?.[topologyKey]
}

/** The guests of the group in the node's domain, with this one, less those in the emptiest domain. */
function skewAt(vmi: Vmi, constraint: Constraint, node: Node, situation: Situation): number {
  const counts = countDomains(vmi, constraint, situation)
  const minimum = counts.size < (constraint.minDomains ?? 1) ? 0 : Math.min(...counts.values())
  const here = counts.get(domainOf(node, constraint.topologyKey) ?? '') ?? 0
  return here + (isOfGroup(vmi, constraint, vmi) ? 1 : 0) - (Number.isFinite(minimum) ? minimum : 0)
}

/** Guests of the group by domain, over the nodes that count. */
function countDomains(vmi: Vmi, constraint: Constraint, situation: Situation): Map<string, number> {
  const nodes = situation.candidates.filter((candidate) => doesCount(vmi, constraint, candidate, situation))
  const counts = new Map<string, number>()
  for (const { node } of nodes) {
    const domain = domainOf(node, constraint.topologyKey) ?? ''
    const group = situation.guests.filter(
      (guest) =>
        guest.nodeName === node.metadata.name &&
        guest.vmi.metadata.uid !== vmi.metadata.uid &&
        guest.vmi.metadata.deletionTimestamp === undefined &&
        isOfGroup(vmi, constraint, guest.vmi),
    )
    counts.set(domain, (counts.get(domain) ?? 0) + group.length)
  }
  return counts
}

/** Policies as their defaults are: affinity is honoured, taints are not. */
function doesCount(vmi: Vmi, constraint: Constraint, candidate: Candidate, situation: Situation): boolean {
  const { topologyKey, nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint
  if (domainOf(candidate.node, topologyKey) === undefined) return false
  if (nodeAffinityPolicy === 'Honor' && !isSelected(vmi.spec, candidate.node)) return false
  return nodeTaintsPolicy !== 'Honor' || toleratesTaints(vmi, candidate, situation) === undefined
}

function isOfGroup(owner: Vmi, { labelSelector, matchLabelKeys }: Constraint, other: Vmi): boolean {
  if (!labelSelector || owner.metadata.namespace !== other.metadata.namespace) return false

  return isSelectedBy(labelSelector, ownLabels(owner, { matchLabelKeys }), other.metadata.labels)
}
