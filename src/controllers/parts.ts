import type { Expander } from '../instancetype/expand.ts'
import type { MayUse } from '../kinds/foreign-use.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../metrics/exposition.ts'
import type { OpenInformer } from '../store/cache.ts'
import type { EventRecorder } from '../store/events.ts'
import type { Store } from '../store/store.ts'
import type { MigrationTls, Nodes } from '../rpc/actions.ts'

/** What the operator decides about the controllers. */
export interface ControllerConfig {
  /** Whether guests may run without KVM. The KubeVirt object's `useEmulation` allows it, too. */
  allowEmulation: boolean
  /** Whether Node objects and their leases are ours (embedded mode) or a kubelet's (cluster mode: labels only). */
  ownsNodes: boolean
  /** Guests of a node that was not heard of for so long are started elsewhere (cluster mode); never where absent. */
  failoverAfterMs?: number
  /** Where the Leases of workers are (cluster mode); absent where workers have none. */
  workerNamespace?: string
  /** Version of this program, such as `0.1.0`. */
  version: string
  /** The KubeVirt version whose API is served, such as `v1.9.0`. */
  kubeVirtVersion: string
  /**
   * Of this process. The KubeVirt object is told it as the one of guests that ask for none, until there are workers: then it is
   * theirs. Absent: admission knows without (embedded mode).
   */
  architecture?: string
  /** Where claims are directories of ours: below it, as `NAMESPACE/NAME`. Absent: somebody else provides storage. */
  claimsDir?: string
  /** Whether guests are charged to quotas by us (cluster mode) or by the store itself (embedded mode). */
  keepsQuotas?: boolean
  /** How often everything is looked at again even if nothing seems to have changed; 5 min by default. */
  resyncMs?: number
}

/** Both sides' certificates of one migration. */
export interface MigrationCredentials {
  source: MigrationTls
  target: MigrationTls
}

/** Issues the certificates by which the two nodes of a migration know each other. */
export interface MigrationCertificates {
  /** Common names `mig-<uid>-src` and `mig-<uid>-dst`, good for an hour. Source: contract worker-qemu 5.1. */
  issue(migrationUid: string): Promise<MigrationCredentials>
}

/** What the controllers are put together from. */
export interface ControllerParts {
  store: Store
  openInformer: OpenInformer
  nodes: Nodes
  events: EventRecorder
  /** Writes out the instance types and preferences of VMs. */
  expander: Expander
  /** What a service account may use of other namespaces than its own. */
  foreignUses: (account: { name: string; groups: string[] }) => MayUse
  migrationCertificates: MigrationCertificates
  clock: Clock
  log: Log
  config: ControllerConfig
  /** Where it is told what they do and see; nowhere where absent. */
  metrics?: Metrics
  /** Gives up a start that goes on. */
  signal?: AbortSignal
  /** In [0, 1); spreads retries. `Math.random` where absent. */
  random?: () => number
}
