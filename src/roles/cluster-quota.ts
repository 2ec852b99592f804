import { VMIS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { buildClusterLedger } from '../quota/cluster-ledger.ts'
import type { QuotaLedger } from '../quota/ledger.ts'
import { openInformer } from '../store/informer.ts'
import type { Store } from '../store/store.ts'

/** A ledger on the quotas of a Kubernetes API, with the guests kept in memory. */
export interface OpenLedger extends QuotaLedger, AsyncDisposable {
  /** Settles when the guests have been read for the first time. */
  synced: Promise<void>
}

/** Index of guests by their namespace. */
const BY_NAMESPACE = 'namespace'

/** Opens the ledger. It waits for its first list of guests at the first reservation. */
export function openClusterLedger(store: Store, clock: Clock, log: Log): OpenLedger {
  const indexes = {
    [BY_NAMESPACE]: ({ metadata }: { metadata: { namespace: string } }) => [metadata.namespace],
  }
  const guests = openInformer(store, VMIS, {}, { clock, log, indexes })
  const ledger = buildClusterLedger({
    store,
    guests: (namespace) => guests.by(BY_NAMESPACE, namespace),
    clock,
  })
  return {
    synced: guests.synced,
    async reserve(write) {
      await guests.synced
      await ledger.reserve(write)
    },
    [Symbol.asyncDispose]: () => guests[Symbol.asyncDispose](),
  }
}
