import { keyOf } from '../kinds/meta.ts'
import type { KubeObject } from '../kinds/meta.ts'
import { DATA_VOLUMES, KUBEVIRTS, NODES, PVCS, VMIMS, VMIS, VMS } from '../kinds/table.ts'
import type { Kind } from '../kinds/kind.ts'
import type { WorkQueue } from '../lib/work-queue.ts'
import type { Informer } from '../store/cache.ts'
import { startEvacuationController } from './evacuation/controller.ts'
import { startClaimController, type ClaimCaches } from './claims/controller.ts'
import { startDataVolumeController } from './data-volumes/controller.ts'
import { tellOfObjects } from './figures.ts'
import { startKubeVirtController } from './kubevirt/controller.ts'
import { startMigrationController } from './migration/controller.ts'
import type { MigrationController } from './migration/controller.ts'
import { vmimIndexes } from './migration/reconcile.ts'
import { startNodeController } from './node/controller.ts'
import type { ControllerParts } from './parts.ts'
import { startQuotaController } from './quota/controller.ts'
import { startVmController, vmIndexes } from './vm/controller.ts'
import { startVmiController } from './vmi/controller.ts'
import { vmiIndexes } from './vmi/placed.ts'

const RESYNC_MS = 300_000

/**
 * Starts every controller once its caches are filled. Closing stops them: what runs is waited for, guests go on
 * running. Throws the reason of `signal` where that aborts before.
 */
export async function startControllers(parts: ControllerParts): Promise<AsyncDisposable> {
  await using starting = new AsyncDisposableStack()
  const caches = await openCaches(parts, starting)
  let nodeQueue: WorkQueue | undefined
  let migrations: MigrationController | undefined
  const vmi = starting.use(
    startVmiController(parts, caches, {
      onNode(nodeName) {
        nodeQueue?.add(nodeName)
        migrations?.onNode(nodeName)
      },
      onGuest: (key) => migrations?.onGuest(key),
    }),
  )
  nodeQueue = starting.use(startNodeController(parts, caches.nodeObjects, vmi.watch))
  const vmQueue = starting.use(startVmController(parts, caches))
  migrations = starting.use(startMigrationController(parts, caches, vmi))
  const migrationQueue = migrations.queue
  const evacuationQueue = starting.use(startEvacuationController(parts, caches))
  starting.use(startKubeVirtController(parts, caches))
  const claimQueue = await startStorage(parts, caches, starting)
  const quotas = parts.config.keepsQuotas ? starting.use(startQuotaController(parts, caches)) : undefined
  const lookAtAll = (): void => {
    for (const { metadata } of caches.vms.list()) vmQueue.add(keyOf(metadata))
    for (const { metadata } of caches.vmis.list()) {
      vmi.queue.add(keyOf(metadata))
      // The VM of an orphan is gone; its finalizer is still to be taken off.
      vmQueue.add(keyOf(metadata))
      migrationQueue.add(keyOf(metadata))
      evacuationQueue.add(keyOf(metadata))
    }
    // Some are for VMIs that are gone.
    for (const { metadata, spec } of caches.vmims.list()) {
      migrationQueue.add(keyOf({ namespace: metadata.namespace, name: spec.vmiName ?? '' }))
    }
    for (const { metadata } of caches.nodeObjects.list()) nodeQueue.add(metadata.name)
    for (const { metadata } of caches.claims.list()) claimQueue?.add(keyOf(metadata))
    quotas?.lookAtAll()
    vmi.watch.refresh()
  }
  if (parts.metrics) starting.use(tellOfObjects(parts, parts.metrics, caches))
  lookAtAll()
  starting.use(every(parts, parts.config.resyncMs ?? RESYNC_MS, lookAtAll))
  return starting.move()
}

/** Provides storage where claims are directories of this machine. The queue is that of claims. */
async function startStorage(
  parts: ControllerParts,
  caches: Omit<ClaimCaches, 'dataVolumes'>,
  stack: AsyncDisposableStack,
): Promise<WorkQueue | undefined> {
  const { store, openInformer, clock, log } = parts
  const { claimsDir } = parts.config
  if (claimsDir === undefined) return undefined
  const dataVolumes = stack.use(openInformer(store, DATA_VOLUMES, {}, { clock, log }))
  await dataVolumes.synced
  const queue = stack.use(startClaimController(parts, { ...caches, dataVolumes }, claimsDir))
  stack.use(startDataVolumeController(parts, { ...caches, dataVolumes }, claimsDir))
  return queue
}

/** The caches that the controllers share; all are filled when this resolves. */
async function openCaches(parts: ControllerParts, stack: AsyncDisposableStack) {
  parts.signal?.throwIfAborted()
  const opened: Informer<KubeObject>[] = []
  const closeAll = async (): Promise<void> => {
    await Promise.all(opened.map((informer) => informer[Symbol.asyncDispose]()))
  }
  stack.defer(closeAll)
  const open = <T extends KubeObject>(
    kind: Kind<T>,
    indexes: Record<string, (object: T) => string[]> = {},
  ) => {
    const { store, openInformer, clock, log } = parts
    const informer = openInformer(store, kind, {}, { clock, log, indexes })
    opened.push(informer)
    return informer
  }
  const caches = {
    vms: open(VMS, vmIndexes),
    vmis: open(VMIS, vmiIndexes),
    vmims: open(VMIMS, vmimIndexes),
    nodeObjects: open(NODES),
    claims: open(PVCS),
    kubeVirts: open(KUBEVIRTS),
  }
  const giveUp = (): void => void closeAll()
  parts.signal?.addEventListener('abort', giveUp, { once: true })
  await Promise.all(opened.map(({ synced }) => synced))
  parts.signal?.removeEventListener('abort', giveUp)
  // Caches that were given up are empty, and nobody may act on that.
  parts.signal?.throwIfAborted()
  return caches
}

/** Calls `run` again and again until disposed of. */
function every({ clock }: ControllerParts, periodMs: number, run: () => void): Disposable {
  let timer = clock.after(periodMs, tick)
  function tick(): void {
    run()
    timer = clock.after(periodMs, tick)
  }
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() }
}
