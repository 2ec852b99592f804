import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { Node, PersistentVolumeClaim } from '../../kinds/core.ts'
import type { KubeVirt, Vmi, Vmim } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { isMigrationOver } from '../../kinds/migration.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { splitKey, WORKERS } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { isSamePlace } from '../vmi/controller.ts'
import type { NodeNews, VmiController } from '../vmi/controller.ts'
import { holdingsOf } from '../vmi/placed.ts'
import { placeByRules } from '../placement/placement.ts'
import type { Placement } from '../placement/situation.ts'
import { NODE_GRACE_MS } from '../vmi/write.ts'
import { MigrationDesk } from './desk.ts'
import { reconcileMigrations } from './reconcile.ts'
import { isInFlight } from './state.ts'
import { Turns } from './turns.ts'

/** The caches this controller reads. `vmis` has the index `node`, `vmims` the index `vmi`. */
export interface MigrationCaches {
  vmis: Informer<Vmi>
  vmims: Informer<Vmim>
  nodeObjects: Informer<Node>
  claims: Informer<PersistentVolumeClaim>
  kubeVirts: Informer<KubeVirt>
}

/** The running controller. The queue's keys are those of VMIs. */
export interface MigrationController extends AsyncDisposable, NodeNews {
  queue: WorkQueue
}

/** Moves guests from node to node, one migration of each VMI at a time. */
export function startMigrationController(
  parts: ControllerParts,
  caches: MigrationCaches,
  { watch, memory }: Pick<VmiController, 'watch' | 'memory'>,
  placement: Placement = placeByRules,
): MigrationController {
  const { clock, log } = parts
  const { vmis, vmims, kubeVirts, nodeObjects } = caches
  const [desk, turns] = [new MigrationDesk(), new Turns()]
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-migration'),
    workers: WORKERS,
    clock,
    run(key, signal) {
      const again = (delayMs: number): void => queue.addAfter(key, delayMs)
      const context = { ...parts, ...caches, watch, memory, placement, desk, turns, signal, again }
      return reconcileMigrations(context, ...splitKey(key))
    },
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'NotFound')
      log[isRace ? 'debug' : 'warn']({ err: error, vmi: key, retryMs }, 'migrations of a VMI are tried again')
    },
  })
  const vmiKeyOf = ({ metadata, spec }: Vmim): string =>
    keyOf({ namespace: metadata.namespace, name: spec.vmiName ?? '' })
  /** Those that wait for a place, or for a target. */
  const addWaiting = (): void => {
    for (const vmim of vmims.list()) {
      const phase = vmim.status?.phase
      if (!phase || phase === 'Pending' || phase === 'Scheduling') queue.add(vmiKeyOf(vmim))
    }
  }
  const addMoving = (node: Node | undefined): void => {
    const moving = node ? vmis.by('node', node.metadata.name).filter(isInFlight) : []
    for (const { metadata } of moving) queue.add(keyOf(metadata))
  }
  const isOfInterest = (key: string): boolean => {
    const vmi = vmis.get(...splitKey(key))
    const isMoving = vmi !== undefined && isInFlight(vmi)
    return isMoving || vmims.by('vmi', key).some(({ status }) => !isMigrationOver(status?.phase))
  }
  const subscriptions = [
    vmims.onChange((before, after) => {
      const changed = after ?? before
      if (changed) queue.add(vmiKeyOf(changed))
      if (!changed || (after && !isMigrationOver(after.status?.phase))) return
      turns.leave(changed.metadata.uid)
      addWaiting()
    }),
    vmis.onChange((before, after) => {
      const changed = after ?? before
      if (changed && isOfInterest(keyOf(changed.metadata))) queue.add(keyOf(changed.metadata))
    }),
    kubeVirts.onChange(addWaiting),
    nodeObjects.onChange((before, after) => {
      if (before && after && isSamePlace(before, after)) return
      addWaiting()
      // It may have been given up.
      addMoving(after ?? before)
    }),
  ]
  return {
    queue,
    onGuest(key) {
      if (isOfInterest(key)) queue.add(key)
    },
    onNode(nodeName) {
      for (const vmi of vmis.by('node', nodeName).filter(isInFlight)) {
        queue.add(keyOf(vmi.metadata))
        // Should it stay away, its migrations have to be ended.
        queue.addAfter(keyOf(vmi.metadata), NODE_GRACE_MS)
      }
      // By its holdings a VMI is found at both of its nodes; one that has ended may be found at none.
      for (const vmi of vmis.list()) {
        if (holdingsOf(vmi).length === 0 && isInFlight(vmi)) queue.add(keyOf(vmi.metadata))
      }
      addWaiting()
    },
    async [Symbol.asyncDispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
      await desk[Symbol.asyncDispose]()
    },
  }
}
