import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import type { KubeVirt, Vm, Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { splitKey, WORKERS } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { claimsOf } from './data-volumes.ts'
import { reconcileVm } from './reconcile.ts'

/** The caches this controller reads. `vms` has the index `claim`, see `vmIndexes`. */
export interface VmCaches {
  vms: Informer<Vm>
  vmis: Informer<Vmi>
  claims: Informer<PersistentVolumeClaim>
  kubeVirts: Informer<KubeVirt>
}

/** What VMs are looked up by: the claims their guests use, as `namespace/name`. */
export const vmIndexes = {
  claim: (vm: Vm): string[] => claimsOf(vm).map((name) => keyOf({ namespace: vm.metadata.namespace, name })),
}

/** Keeps every VM's VMI and status in line with its spec. The queue's keys are those of VMs. */
export function startVmController(parts: ControllerParts, caches: VmCaches): WorkQueue {
  const { log, random = Math.random } = parts
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-vm'),
    workers: WORKERS,
    clock: parts.clock,
    run: (key) => {
      const again = (delayMs: number): void => queue.addAfter(key, delayMs)
      return reconcileVm({ ...parts, ...caches, random, again }, ...splitKey(key))
    },
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'NotFound')
      log[isRace ? 'debug' : 'warn']({ err: error, vm: key, retryMs }, 'VM is tried again')
    },
  })
  // A VMI has its VM's name. Nothing here runs before the caches are filled.
  for (const cache of [caches.vms, caches.vmis]) {
    cache.onChange((before, after) => {
      const changed = after ?? before
      if (changed) queue.add(keyOf(changed.metadata))
    })
  }
  caches.claims.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    for (const vm of caches.vms.by('claim', keyOf(changed.metadata))) queue.add(keyOf(vm.metadata))
  })
  return queue
}
