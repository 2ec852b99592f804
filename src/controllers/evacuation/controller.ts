import { watchQueue } from '../../metrics/queues.ts'
import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import { keyOf } from '../../kinds/meta.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { splitKey, WORKERS } from '../keys.ts'
import type { MigrationCaches } from '../migration/controller.ts'
import type { ControllerParts } from '../parts.ts'
import { reconcileEvacuation } from './reconcile.ts'

/** Has guests moved that have to leave their node. The queue's keys are those of VMIs. */
export function startEvacuationController(parts: ControllerParts, caches: MigrationCaches): WorkQueue {
  const { vmis, vmims, nodeObjects, kubeVirts } = caches
  const { clock, log } = parts
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-evacuation'),
    workers: WORKERS,
    clock,
    run(key) {
      const again = (delayMs: number): void => queue.addAfter(key, delayMs)
      return reconcileEvacuation({ ...parts, ...caches, again }, ...splitKey(key))
    },
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'NotFound')
      log[isRace ? 'debug' : 'warn']({ err: error, vmi: key, retryMs }, 'evacuation of a VMI is tried again')
    },
  })
  const addAll = (list: readonly Vmi[]): void => {
    for (const { metadata } of list) queue.add(keyOf(metadata))
  }
  vmis.onChange((_before, after) => {
    if (after) queue.add(keyOf(after.metadata))
  })
  vmims.onChange((before, after) => {
    const changed = after ?? before
    if (changed) queue.add(keyOf({ namespace: changed.metadata.namespace, name: changed.spec.vmiName ?? '' }))
  })
  nodeObjects.onChange((before, after) => {
    if (after && !isSameJson(before?.spec?.taints, after.spec?.taints)) {
      addAll(vmis.by('node', after.metadata.name))
    }
  })
  kubeVirts.onChange(() => addAll(vmis.list()))
  return queue
}
