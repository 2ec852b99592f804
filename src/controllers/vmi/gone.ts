import type { VmiContext } from './context.ts'
import { NODE_GRACE_MS } from './write.ts'

/**
 * Whether a node will not come back: it has been away for a while and somebody has deleted its Node object,
 * which says so. As long as the object is there, its guests are waited for: they may well be running.
 */
export function isNodeGone(
  { nodes, nodeObjects, watch, clock }: Pick<VmiContext, 'nodes' | 'nodeObjects' | 'watch' | 'clock'>,
  nodeName: string,
): boolean {
  if (nodes.find(nodeName) || nodeObjects.get('', nodeName)) return false
  const connection = watch.view(nodeName)?.connection
  return (
    connection !== undefined && !connection.connected && clock.now() - connection.sinceMs >= NODE_GRACE_MS
  )
}
