import { isQuantity, quantityToBytes } from '../../lib/quantity.ts'
import type { Node } from '../../kinds/core.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { affinityRefusal } from './affinity.ts'
import { toleratesAll } from './taints.ts'

/** A node that is ready for guests, and what its guests have asked for. */
export interface Candidate {
  node: Node
  /** Memory requested by the guests that are placed there. */
  requestedBytes: bigint
}

/** The node a guest goes to, or why none takes it. */
export type Choice = { nodeName: string } | { refusal: string }

/** Chooses a node for a guest. Pure: what it needs was gathered before. */
export type Placement = (vmi: Vmi, candidates: readonly Candidate[], config: PlacementConfig) => Choice

/** Cluster settings that placement depends on. */
export interface PlacementConfig {
  /** Whether a guest may go to a node without KVM. */
  allowEmulation: boolean
}

/** The node resource that says how many guests may use KVM. */
export const KVM_RESOURCE = 'devices.kubevirt.io/kvm'

/** Label by which a node is open or closed to guests. */
export const SCHEDULABLE_LABEL = 'kubevirt.io/schedulable'

/**
 * Of the nodes that the guest's spec allows and that have the memory, the one whose guests have asked for least.
 *
 * Honours `nodeSelector`, required node affinity, taints and `spec.unschedulable`. Preferences are left aside.
 */
export const placeByMemory: Placement = (vmi, candidates, config) => {
  const refusals: string[] = []
  const fitting = candidates.filter((candidate) => {
    const refusal = refusalOf(vmi, candidate, config)
    if (refusal !== undefined) refusals.push(refusal)
    return refusal === undefined
  })
  const [best] = fitting.sort(byRequestedMemory)
  return best ? { nodeName: best.node.metadata.name } : { refusal: summarize(candidates.length, refusals) }
}

function byRequestedMemory(left: Candidate, right: Candidate): number {
  if (left.requestedBytes !== right.requestedBytes) return left.requestedBytes < right.requestedBytes ? -1 : 1
  return left.node.metadata.name < right.node.metadata.name ? -1 : 1
}

/** In the words that people know from the Kubernetes scheduler: `0/2 nodes are available: 2 …`. */
function summarize(total: number, refusals: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const refusal of refusals) counts.set(refusal, (counts.get(refusal) ?? 0) + 1)
  const reasons = [...counts].map(([refusal, count]) => `${count} ${refusal}`)
  return `0/${total} nodes are available${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}`
}

function refusalOf(
  vmi: Vmi,
  { node, requestedBytes }: Candidate,
  config: PlacementConfig,
): string | undefined {
  const labels = node.metadata.labels ?? {}
  const { nodeSelector = {}, tolerations = [] } = vmi.spec
  if (node.spec?.unschedulable || labels[SCHEDULABLE_LABEL] === 'false') return 'node(s) were unschedulable'
  if (!toleratesAll(tolerations, node.spec?.taints ?? [])) return 'node(s) had untolerated taints'
  if (Object.entries(nodeSelector).some(([key, value]) => labels[key] !== value)) {
    return "node(s) didn't match the VMI's node selector"
  }
  const affinity = affinityRefusal(vmi.spec, node)
  if (affinity !== undefined) return affinity
  const allocatable = node.status?.allocatable ?? {}
  if (!config.allowEmulation && !hasKvm(allocatable)) return `Insufficient ${KVM_RESOURCE}`
  const { memory } = allocatable
  const isFull = isQuantity(memory) && requestedBytes + requestedMemory(vmi) > quantityToBytes(memory)
  return isFull ? 'Insufficient memory' : undefined
}

function hasKvm(allocatable: Record<string, string>): boolean {
  const kvm = allocatable[KVM_RESOURCE]
  return isQuantity(kvm) && quantityToBytes(kvm) > 0n
}

/** Bytes of memory that a guest asks of its node; 0 where its spec says nothing. */
export function requestedMemory({ spec: { domain } }: Pick<Vmi, 'spec'>): bigint {
  const { requests, limits } = domain.resources ?? {}
  const text = requests?.['memory'] ?? domain.memory?.guest ?? limits?.['memory']
  return isQuantity(text) ? quantityToBytes(text) : 0n
}
