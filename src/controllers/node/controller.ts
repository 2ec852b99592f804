import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { Node } from '../../kinds/core.ts'
import type { NodeInfo } from '../../rpc/actions.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import type { NodeWatch } from '../node-watch.ts'
import { WORKERS } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { reconcileNode } from './reconcile.ts'

/** Keeps Node objects and their leases in step with the workers. The queue's keys are names of nodes. */
export function startNodeController(
  parts: ControllerParts,
  nodeObjects: Informer<Node>,
  watch: Pick<NodeWatch, 'view'>,
): WorkQueue {
  const infos = new Map<string, { session: number; info: NodeInfo }>()
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-node'),
    workers: WORKERS,
    clock: parts.clock,
    run(nodeName, signal) {
      const again = (delayMs: number): void => queue.addAfter(nodeName, delayMs)
      return reconcileNode({ ...parts, nodeObjects, watch, infos, signal, again }, nodeName)
    },
    onError(node, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'AlreadyExists')
      parts.log[isRace ? 'debug' : 'warn']({ err: error, node, retryMs }, 'node is tried again')
    },
  })
  for (const { metadata } of nodeObjects.list()) queue.add(metadata.name)
  return queue
}
