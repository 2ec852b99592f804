import type { Node } from '../../kinds/core.ts'
import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import type { LabelSelector } from '../../lib/selectors.ts'
import { isSelectedBy, ownLabels } from './selection.ts'
import type { PlacedGuest, Rule, Situation } from './situation.ts'

/** Source: `core/v1` PodAffinityTerm. */
interface Term {
  topologyKey: string
  labelSelector?: LabelSelector | undefined
  namespaces?: string[]
  namespaceSelector?: LabelSelector | undefined
  matchLabelKeys?: string[]
  mismatchLabelKeys?: string[]
}

/** A guest goes where the guests are that its required affinity names. */
export const isNearNeighbours: Rule = (vmi, { node }, situation) => {
  const terms = requiredOf(vmi.spec.affinity?.podAffinity)
  return terms.every((term) => isNear(vmi, term, node, situation))
    ? undefined
    : "node(s) didn't match pod affinity rules"
}

/** A guest stays away from the guests that its required anti-affinity names. */
export const isFarFromNeighbours: Rule = (vmi, { node }, situation) => {
  const terms = requiredOf(vmi.spec.affinity?.podAntiAffinity)
  return terms.some((term) => countNear(vmi, term, node, situation) > 0)
    ? "node(s) didn't match pod anti-affinity rules"
    : undefined
}

/** A guest stays away from guests whose required anti-affinity names it. */
export const isBearable: Rule = (vmi, { node }, situation) => {
  const isRefused = others(vmi, situation).some(({ vmi: other, nodeName }) => {
    const terms = requiredOf(other.spec.affinity?.podAntiAffinity)
    return terms.some(
      (term) => isSameDomain(term, node, nodeOf(nodeName, situation)) && names(term, other, vmi, situation),
    )
  })
  return isRefused ? "node(s) didn't satisfy existing pods anti-affinity rules" : undefined
}

/** The sum of the weights of preferred neighbours there, less those of unwelcome ones; both ways. */
export function neighbourPreference(vmi: Vmi, node: Node, situation: Situation): number {
  const { podAffinity, podAntiAffinity } = vmi.spec.affinity ?? {}
  const own = (rules: Rules | undefined): number =>
    preferredOf(rules).reduce(
      (sum, { weight, podAffinityTerm }) => sum + weight * countNear(vmi, podAffinityTerm, node, situation),
      0,
    )
  const theirs = others(vmi, situation).reduce((sum, { vmi: other, nodeName }) => {
    const there = nodeOf(nodeName, situation)
    const weigh = (rules: Rules | undefined): number =>
      preferredOf(rules)
        .filter(
          ({ podAffinityTerm: term }) =>
            isSameDomain(term, node, there) && names(term, other, vmi, situation),
        )
        .reduce((weights, { weight }) => weights + weight, 0)
    const { affinity } = other.spec
    return sum + weigh(affinity?.podAffinity) - weigh(affinity?.podAntiAffinity)
  }, 0)
  return own(podAffinity) - own(podAntiAffinity) + theirs
}

/** Whether the guest names others by the labels of their namespaces. A selector that demands nothing means all of them. */
export function asksNamespaces({ spec: { affinity } }: Vmi): boolean {
  return [affinity?.podAffinity, affinity?.podAntiAffinity]
    .flatMap((rules) => [
      ...requiredOf(rules),
      ...preferredOf(rules).map(({ podAffinityTerm }) => podAffinityTerm),
    ])
    .some(({ namespaceSelector: { matchLabels = {}, matchExpressions = [] } = {} }) => {
      return Object.keys(matchLabels).length + matchExpressions.length > 0
    })
}

type Affinity = NonNullable<VmiSpec['affinity']>
type Rules = NonNullable<Affinity['podAffinity'] | Affinity['podAntiAffinity']>

// What the published type says of these is what `Term` has.
function requiredOf(rules: Rules | undefined): Term[] {
  return rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []
}

function preferredOf(rules: Rules | undefined): { weight: number; podAffinityTerm: Term }[] {
  // As above.
  return rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []
}

/** The first of a group that wants to be together is near itself: otherwise none could ever start. */
function isNear(vmi: Vmi, term: Term, node: Node, situation: Situation): boolean {
  if (node.metadata.labels?.[term.topologyKey] === undefined) return false
  if (countNear(vmi, term, node, situation) > 0) return true
  const isFirst = !others(vmi, situation).some(({ vmi: other }) => names(term, vmi, other, situation))
  return isFirst && names(term, vmi, vmi, situation)
}

function countNear(vmi: Vmi, term: Term, node: Node, situation: Situation): number {
  return others(vmi, situation).filter(
    ({ vmi: other, nodeName }) =>
      isSameDomain(term, node, nodeOf(nodeName, situation)) && names(term, vmi, other, situation),
  ).length
}

function others({ metadata }: Vmi, { guests }: Situation): PlacedGuest[] {
  return guests.filter(({ vmi }) => vmi.metadata.uid !== metadata.uid)
}

function nodeOf(nodeName: string, { candidates }: Situation): Node | undefined {
  return candidates.find(({ node }) => node.metadata.name === nodeName)?.node
}

function isSameDomain({ topologyKey }: Term, one: Node, other: Node | undefined): boolean {
  const domain = one.metadata.labels?.[topologyKey]
  return domain !== undefined && domain === other?.metadata.labels?.[topologyKey]
}

/** Whether a term in the spec of `owner` is about `other`. Without a selector it is about nobody. */
function names(term: Term, owner: Vmi, other: Vmi, situation: Situation): boolean {
  if (!term.labelSelector || !isInNamespaces(term, owner, other.metadata.namespace, situation)) return false
  const keys = { matchLabelKeys: term.matchLabelKeys, mismatchLabelKeys: term.mismatchLabelKeys }
  return isSelectedBy(term.labelSelector, ownLabels(owner, keys), other.metadata.labels)
}

/** Those listed and those selected; the owner's own where neither is said. */
function isInNamespaces(
  { namespaces = [], namespaceSelector }: Term,
  owner: Vmi,
  namespace: string,
  situation: Situation,
): boolean {
  if (namespaces.includes(namespace)) return true
  if (!namespaceSelector) return namespaces.length === 0 && namespace === owner.metadata.namespace
  return isSelectedBy(namespaceSelector, [], situation.namespaces.get(namespace))
}
