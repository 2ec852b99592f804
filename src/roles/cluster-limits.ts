/** What namespaces let guests have, where a Kubernetes API holds the objects: LimitRanges and ResourceQuotas. */
import type { AdmissionRequest } from '../admission/admission.ts'
import type { NamespaceLimits } from '../admission/judge.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import { LIMIT_RANGES, VMIS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import { isSameJson } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import { resourceName } from '../quota/charges.ts'
import { rangeFaults, withRangeDefaults } from '../quota/limits.ts'
import { outOfBounds } from '../quota/refusals.ts'
import { openInformer } from '../store/informer.ts'
import type { Store } from '../store/store.ts'
import { openClusterLedger } from './cluster-quota.ts'

/** Limits that are followed. */
export interface OpenLimits extends NamespaceLimits, AsyncDisposable {
  /** Settles when all that a review needs has been read. */
  synced: Promise<void>
}

/** Follows guests and LimitRanges; quotas are read, and reserved from, as they are at that moment. */
export function openClusterLimits(store: Store, clock: Clock, log: Log): OpenLimits {
  const indexes = { namespace: ({ metadata }: KubeObject) => [metadata.namespace ?? ''] }
  const limitRanges = openInformer(store, LIMIT_RANGES, {}, { clock, log, indexes })
  const ledger = openClusterLedger(store, clock, log)
  const rangesOf = ({ namespace }: AdmissionRequest) => limitRanges.by('namespace', namespace)
  return {
    synced: Promise.all([limitRanges.synced, ledger.synced]).then(() => {}),
    async complete(request) {
      return isGuest(request) ? withRangeDefaults(request, rangesOf(request)) : request
    },
    async admit(request) {
      if (!isGuest(request)) return
      const faults = rangeFaults(request, request.object, rangesOf(request))
      if (faults.length > 0) throw outOfBounds(resourceName(VMIS), request.name, faults)
      // What is reviewed under a kind has its type.
      const [vmi, before] = [request.object as Vmi, request.old as Vmi | undefined]
      // Most updates are of the status, and what is going takes no more.
      if (vmi.metadata.deletionTimestamp !== undefined || isSameJson(vmi.spec, before?.spec)) return
      // A review without a UID is of nobody who is about to store anything: kube-apiserver has given it one by now.
      const dryRun = request.dryRun || !vmi.metadata.uid
      await ledger.reserve({ vmi, ...(before && { before }), dryRun })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([limitRanges, ledger].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

function isGuest({ kind, subresource }: AdmissionRequest): boolean {
  return kind === VMIS && !subresource
}
