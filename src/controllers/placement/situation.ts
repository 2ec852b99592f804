import type { NodeSelectorTerm } from './node-affinity.ts'
import type { Node } from '../../kinds/core.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'

/** A guest that has a node, or that a node was just chosen for. */
export interface PlacedGuest {
  vmi: Vmi
  nodeName: string
}

/** A node that guests may go to. */
export interface Candidate {
  node: Node
  /** Why it takes no guest, or not this one, for a reason that is found out elsewhere. In the words of a refusal. */
  unfit?: string
}

/** What a guest needs of its node that its spec alone does not tell. */
export interface Needs {
  /** Bridges of the host that its networks are on. */
  bridges: readonly string[]
  /** Of each of its volumes that only some nodes reach: the terms of which a node has to match one. */
  volumeNodes: readonly (readonly NodeSelectorTerm[])[]
}

/** All that a choice depends on besides the guest. It was gathered before. */
export interface Situation {
  candidates: readonly Candidate[]
  /** Every guest that takes room somewhere; one that moves is there twice. The guest in question is left aside. */
  guests: readonly PlacedGuest[]
  needs: Needs
  /** Labels of namespaces; only those that selectors of namespaces may ask for have to be there. */
  namespaces: ReadonlyMap<string, Record<string, string>>
  config: PlacementConfig
}

/** Cluster settings that placement depends on. */
export interface PlacementConfig {
  /** Whether a guest may go to a node without KVM. */
  allowEmulation: boolean
  /** vCPUs for each CPU of a node, where a guest's spec does not say what it asks for. Source: KubeVirt's `cpuAllocationRatio`. */
  cpuAllocationRatio: number
}

/** The node a guest goes to, or why none takes it. */
export type Choice = { nodeName: string } | { refusal: string }

/**
 * Chooses a node for a guest, from what was gathered before; asked again whenever that may have changed. It is pure, so that
 * the choice can be remembered before anybody else is asked: two guests never get the same room. A placement that asks
 * somebody else, such as kube-scheduler through a pod, starts to ask and refuses until the answer stands in its cache.
 */
export type Placement = (vmi: Vmi, situation: Situation) => Choice

/** Why a node does not take a guest, in kube-scheduler's words; nothing where it does. */
export type Rule = (vmi: Vmi, candidate: Candidate, situation: Situation) => string | undefined
