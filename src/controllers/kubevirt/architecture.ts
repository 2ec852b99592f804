import type { Node } from '../../kinds/core.ts'
import { SCHEDULABLE_LABEL } from '../../kinds/worker-lease.ts'

/**
 * The architecture that guests get which ask for none: that of the nodes that have a worker; `undefined` while there are
 * none. Among several, `before` stays as long as a node has it, so that guests do not come to be of another one when nodes
 * come and go; else it is the one that most nodes have, the first by name where as many have another one.
 */
export function architectureOf(nodes: readonly Node[], before: string | undefined): string | undefined {
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const architecture = workerArchitecture(node)
    if (architecture) counts.set(architecture, (counts.get(architecture) ?? 0) + 1)
  }
  if (before && counts.has(before)) return before
  const [most] = [...counts].toSorted(
    ([name, count], [other, others]) => others - count || (name < other ? -1 : 1),
  )
  return most?.[0]
}

/**
 * The architecture of a node that has a worker, open to guests or not, as Kubernetes spells it: `amd64`, `arm64`. One that is
 * away counts: its node is closed to guests then, and known for what it is.
 */
export function workerArchitecture(node: Node | undefined): string | undefined {
  const { labels } = node?.metadata ?? {}
  if (labels?.[SCHEDULABLE_LABEL] === undefined) return undefined
  return labels['kubernetes.io/arch'] ?? node?.status?.nodeInfo?.['architecture']
}
