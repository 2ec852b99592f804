import type { Lease } from '../kinds/core.ts'
import type { Draft } from '../kinds/meta.ts'
import { LEASES } from '../kinds/table.ts'
import {
  formatMicroTime,
  WORKER_ADDRESS,
  WORKER_LEASE_SECONDS,
  WORKER_SELECTOR,
  withWorkerAddress,
  workerLeaseName,
} from '../kinds/worker-lease.ts'
import type { Clock } from '../lib/clock.ts'
import { isSameJson } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import { retryRaces } from '../lib/races.ts'
import { openInformer } from '../store/informer.ts'
import type { ObjectReader, ObjectWatcher, ObjectWriter } from '../store/store.ts'
import { formatAddress, nodeOf, type NodeAddress } from './node-list.ts'
import type { NodeSource } from './node-source.ts'

/**
 * Makes a worker known, or known at another address: from then on every controller and API server calls it. It is not
 * asked whether it is there. May be repeated. Throws `RangeError` for what is no name of a node, and the API's refusal.
 */
export async function registerWorker(
  store: Pick<ObjectReader, 'get'> & Pick<ObjectWriter, 'create' | 'update'>,
  worker: NodeAddress & { namespace: string },
  clock: Pick<Clock, 'now'>,
): Promise<Lease> {
  const name = workerLeaseName(worker.name)
  return retryRaces(['AlreadyExists', 'Conflict'], async () => {
    const present = await store.get(LEASES, worker.namespace, name)
    if (!present) return store.create(LEASES, buildLease(worker, clock))
    const metadata = withWorkerAddress(present.metadata, formatAddress(worker))
    const next = { ...present, metadata, spec: { ...present.spec, holderIdentity: worker.name } }
    return isSameJson(next, present) ? present : store.update(LEASES, next)
  })
}

function buildLease(worker: NodeAddress & { namespace: string }, clock: Pick<Clock, 'now'>): Draft<Lease> {
  const { namespace, name } = worker
  const now = formatMicroTime(clock.now())
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: LEASES.kind,
    metadata: withWorkerAddress({ namespace, name: workerLeaseName(name) }, formatAddress(worker)),
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: WORKER_LEASE_SECONDS,
      acquireTime: now,
      renewTime: now,
    },
  }
}

/** What a registry is followed with. */
export interface WorkerRegistryOptions {
  store: ObjectReader & ObjectWatcher
  /** Where the Leases are. */
  namespace: string
  clock: Clock
  log: Log
}

/** Follows the Leases of workers. One that cannot be read is left out, and said so in the log. */
export function openWorkerRegistry(options: WorkerRegistryOptions): NodeSource {
  const { store, namespace, clock, log } = options
  const selection = { namespace, labelSelector: WORKER_SELECTOR }
  const informer = openInformer(store, LEASES, selection, { clock, log })
  const listeners = new Set<() => void>()
  informer.onChange((before, after) => {
    // A Lease changes every few seconds: it is renewed.
    if (addressOf(before) === addressOf(after)) return
    const problem = after && problemOf(after)
    if (problem)
      log.warn({ err: problem, lease: after.metadata.name }, 'the Lease of a worker cannot be read')
    for (const listener of listeners) listener()
  })
  return {
    async current() {
      await informer.synced
      return informer
        .list()
        .filter((lease) => !problemOf(lease))
        .map(readLease)
    },
    onChange: (listener) => void listeners.add(listener),
    [Symbol.asyncDispose]: () => informer[Symbol.asyncDispose](),
  }
}

function problemOf(lease: Lease): unknown {
  try {
    readLease(lease)
    return undefined
  } catch (error) {
    return error
  }
}

/** Throws `RangeError`. The name of the Lease counts: there is one for each node. */
function readLease({ metadata, spec }: Lease): NodeAddress {
  const node = spec?.holderIdentity ?? ''
  if (metadata.name !== workerLeaseName(node)) {
    throw new RangeError(`${metadata.name} is no Lease of the worker of ${JSON.stringify(node)}`)
  }
  const address = metadata.annotations?.[WORKER_ADDRESS] ?? ''
  return nodeOf(node, address, `the annotation ${WORKER_ADDRESS} ${JSON.stringify(address)}`)
}

function addressOf(lease: Lease | undefined): string {
  return `${lease?.spec?.holderIdentity}=${lease?.metadata.annotations?.[WORKER_ADDRESS]}`
}
