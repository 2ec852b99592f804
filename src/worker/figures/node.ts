/** What is told of a node itself. */
import type { Reading } from '../../metrics/reading.ts'
import type { NodeInfo } from '../../rpc/actions.ts'

/** Whether its guests run with KVM. Kubernetes knows that only of nodes that have a device plugin. */
export function readingOfNode({ nodeName, accelerator }: NodeInfo): Reading {
  return { name: 'virtgate_node_kvm', labels: { node: nodeName }, value: accelerator === 'kvm' ? 1 : 0 }
}
