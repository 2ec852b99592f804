import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { Node, PersistentVolumeClaim } from '../../kinds/core.ts'
import type { KubeVirt, Vm, Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { BRIDGES } from '../../kinds/worker-lease.ts'
import { monotonicMs } from '../../lib/clock.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { splitKey, WORKERS } from '../keys.ts'
import { startNodeWatch } from '../node-watch.ts'
import type { NodeWatch } from '../node-watch.ts'
import type { ControllerParts } from '../parts.ts'
import { placeByRules } from '../placement/placement.ts'
import type { Placement } from '../placement/situation.ts'
import { effectiveRunStrategy } from '../vm/strategy.ts'
import { openAwaited } from './awaited.ts'
import { GuestMemory } from './memory.ts'
import { holdingsOf, isForeign } from './placed.ts'
import { reconcileVmi } from './reconcile.ts'
import { NODE_GRACE_MS } from './write.ts'

/** The caches this controller reads. `vmis` has the indexes `node` and `claim`, see `vmiIndexes`. */
export interface VmiCaches {
  vms: Informer<Vm>
  vmis: Informer<Vmi>
  nodeObjects: Informer<Node>
  claims: Informer<PersistentVolumeClaim>
  kubeVirts: Informer<KubeVirt>
}

/** The running controller. The queue's keys are those of VMIs. */
export interface VmiController extends AsyncDisposable {
  queue: WorkQueue
  watch: NodeWatch
  memory: GuestMemory
}

/** Who else is told what the nodes say. */
export interface NodeNews {
  /** A node's connection has come or gone. */
  onNode(nodeName: string): void
  /** Something was heard of the guest of the VMI with that key. */
  onGuest(key: string): void
}

/** Gives VMIs to nodes, takes in what the nodes say of them, and takes them away again. */
export function startVmiController(
  parts: ControllerParts,
  caches: VmiCaches,
  news: NodeNews,
  placement: Placement = placeByRules,
): VmiController {
  const { log, clock, nodes, random = Math.random } = parts
  const memory = new GuestMemory(clock.now())
  const startedMs = monotonicMs(clock)
  const awaited = openAwaited(parts, (key) => queue.add(key))
  const syncs = parts.metrics?.counter('kubevirt_vmi_sync_total')
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-vmi'),
    workers: WORKERS,
    clock,
    run(key, signal) {
      const again = (delayMs: number): void => queue.addAfter(key, delayMs)
      const context = { ...parts, ...caches, startedMs, watch, placement, memory, awaited, signal, again }
      const [namespace, name] = splitKey(key)
      // One that is gone has no series any more.
      if (caches.vmis.get(namespace, name)) syncs?.add({ namespace, name })
      return reconcileVmi(context, namespace, name)
    },
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'NotFound')
      log[isRace ? 'debug' : 'warn']({ err: error, vmi: key, retryMs }, 'VMI is tried again')
    },
  })
  const addAll = (vmis: Vmi[], delayMs = 0): void => {
    for (const { metadata } of vmis) queue.addAfter(keyOf(metadata), delayMs)
  }
  const retryUnplaced = (): void => addAll(caches.vmis.by('node', ''))
  const dropped = parts.metrics?.counter('virtgate_worker_reports_dropped_total')
  const drop = (node: string, reason: string): void => dropped?.add({ node, reason })
  const watch = startNodeWatch({
    nodes,
    clock,
    log,
    random,
    holders: () => caches.vmis.list().flatMap((vmi) => nodesOf(vmi)),
    onGuest(guest, nodeName) {
      const key = keyOf(guest)
      const said = watch.view(nodeName)?.guest(guest.uid)
      const vmi = caches.vmis.get(guest.namespace, guest.name)
      if (said && !said.gone && isForeign(vmi, nodeName, said.report)) drop(nodeName, 'foreign')
      queue.add(key)
      news.onGuest(key)
    },
    onDropped: drop,
    onNode(nodeName) {
      addAll(caches.vmis.by('node', nodeName))
      // Should it stay away, its guests have to be told so.
      if (!watch.view(nodeName)?.connection.connected) addAll(caches.vmis.by('node', nodeName), NODE_GRACE_MS)
      retryUnplaced()
      news.onNode(nodeName)
    },
  })
  const subscriptions = [
    caches.vmis.onChange((before, after) => {
      const changed = after ?? before
      if (changed) queue.add(keyOf(changed.metadata))
      if (before && !after) {
        memory.forget(before.metadata.uid)
        syncs?.remove({ namespace: before.metadata.namespace, name: before.metadata.name })
      }
      // Room has become free.
      if (before && nodesOf(before).some((name) => !after || !nodesOf(after).includes(name))) retryUnplaced()
    }),
    caches.vms.onChange((before, after) => {
      // Whether its guest is started elsewhere when its node is lost.
      const [was, is] = [before, after].map((vm) => vm && effectiveRunStrategy(vm.spec))
      if (after && was !== is) queue.add(keyOf(after.metadata))
    }),
    caches.claims.onChange((before, after) => {
      retryUnplaced()
      const changed = after ?? before
      if (changed) addAll(caches.vmis.by('claim', keyOf(changed.metadata)))
    }),
    caches.nodeObjects.onChange((before, after) => {
      if (!after && before) addAll(caches.vmis.by('node', before.metadata.name))
      if (!before || !after || !isSamePlace(before, after)) retryUnplaced()
    }),
  ]
  const unsubscribe = nodes.onChange(retryUnplaced)
  return {
    queue,
    watch,
    memory,
    async [Symbol.asyncDispose]() {
      unsubscribe()
      for (const subscription of subscriptions) subscription[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
      // Which of them are gone by the time we begin again is not known.
      syncs?.clear()
      await Promise.all([watch[Symbol.asyncDispose](), awaited[Symbol.asyncDispose]()])
    },
  }
}

function nodesOf(vmi: Vmi): string[] {
  return holdingsOf(vmi).map(({ nodeName }) => nodeName)
}

/** Whether a node means the same to placement as before: most of its changes are signs of life. */
export function isSamePlace(before: Node, after: Node): boolean {
  return isSameJson(
    [before.metadata.labels, before.metadata.annotations?.[BRIDGES], before.spec, before.status?.allocatable],
    [after.metadata.labels, after.metadata.annotations?.[BRIDGES], after.spec, after.status?.allocatable],
  )
}
