import type { DataVolume } from '../../kinds/cdi.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { keyOf } from '../../kinds/meta.ts'
import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { claimFiles } from '../claims/files.ts'
import { splitKey } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { reconcileDataVolume } from './reconcile.ts'

/** The caches this controller reads. */
export interface DataVolumeCaches {
  dataVolumes: Informer<DataVolume>
  claims: Informer<PersistentVolumeClaim>
}

/** Images that are copied at the same time. */
const WORKERS = 2
/** Between looks at what is waited for outside: a claim to be cloned, and guests that use it. */
const AGAIN_MS = 5_000

/**
 * Fills DataVolumes whose claims are directories of this machine: where there is no CDI. The queue's keys are those of
 * DataVolumes, and of their claims, which have the same name.
 */
export function startDataVolumeController(
  parts: ControllerParts,
  caches: DataVolumeCaches,
  claimsDir: string,
): WorkQueue {
  const { log } = parts
  const files = claimFiles(claimsDir)
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-datavolumes'),
    workers: WORKERS,
    clock: parts.clock,
    run(key, signal) {
      const again = (): void => queue.addAfter(key, AGAIN_MS)
      return reconcileDataVolume({ ...parts, ...caches, files, again }, ...splitKey(key), signal)
    },
    onError(key, error, retryMs) {
      log[hasReason(error, 'Conflict') ? 'debug' : 'warn'](
        { err: error, dataVolume: key, retryMs },
        'DataVolume is tried again',
      )
    },
  })
  for (const cache of [caches.dataVolumes, caches.claims]) {
    cache.onChange((before, after) => {
      const changed = after ?? before
      if (changed) queue.add(keyOf(changed.metadata))
    })
  }
  for (const { metadata } of caches.dataVolumes.list()) queue.add(keyOf(metadata))
  return queue
}
