import type { VmiContext } from './context.ts'
import { NODE_GRACE_MS } from './write.ts'

/**
 * By this taint people vouch that a node is shut down for good. Source: "Non-graceful node shutdown" in the Kubernetes
 * documentation.
 */
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service'

/**
 * Whether a node will not come back: it has been away for a while, and somebody says so by deleting its Node object or
 * by the taint `node.kubernetes.io/out-of-service`. Until then its guests are waited for: they may well be running.
 */
export function isNodeGone(
  { nodes, nodeObjects, watch, clock }: Pick<VmiContext, 'nodes' | 'nodeObjects' | 'watch' | 'clock'>,
  nodeName: string,
): boolean {
  const taints = nodeObjects.get('', nodeName)?.spec?.taints ?? []
  const isGivenUp = !nodeObjects.get('', nodeName) || taints.some(({ key }) => key === OUT_OF_SERVICE)
  if (nodes.find(nodeName) || !isGivenUp) return false
  const connection = watch.view(nodeName)?.connection
  return (
    connection !== undefined && !connection.connected && clock.now() - connection.sinceMs >= NODE_GRACE_MS
  )
}
