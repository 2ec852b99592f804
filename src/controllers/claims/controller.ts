import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { DataVolume } from '../../kinds/cdi.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { splitKey } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { claimKeysOf } from '../vmi/claims.ts'
import { claimFiles } from './files.ts'
import { reconcileClaim } from './reconcile.ts'

/** The caches this controller reads. `vmis` has the index `claim`. */
export interface ClaimCaches {
  claims: Informer<PersistentVolumeClaim>
  vmis: Informer<Vmi>
  dataVolumes: Informer<DataVolume>
}

const WORKERS = 2

/**
 * Binds claims to directories of this machine, and removes these with the claims: where there is nobody else who
 * provides storage. The queue's keys are those of claims.
 */
export function startClaimController(
  parts: ControllerParts,
  caches: ClaimCaches,
  claimsDir: string,
): WorkQueue {
  const { log } = parts
  const files = claimFiles(claimsDir)
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-claims'),
    workers: WORKERS,
    clock: parts.clock,
    run: (key) => reconcileClaim({ ...parts, ...caches, files }, ...splitKey(key)),
    onError(key, error, retryMs) {
      log[hasReason(error, 'Conflict') ? 'debug' : 'warn'](
        { err: error, claim: key, retryMs },
        'claim is tried again',
      )
    },
  })
  caches.claims.onChange((before, after) => {
    const changed = after ?? before
    if (changed) queue.add(keyOf(changed.metadata))
  })
  // It has the name of its claim, which waits until it is filled.
  caches.dataVolumes.onChange((_before, after) => {
    if (after) queue.add(keyOf(after.metadata))
  })
  // A claim whose last user has gone may be waiting to go itself.
  caches.vmis.onChange((before) => {
    for (const key of before ? claimKeysOf(before) : []) queue.add(key)
  })
  return queue
}
