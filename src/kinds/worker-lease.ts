/** How the workers of a cluster are known: one Lease for each node, in our own namespace, and marks on Node objects. */
import { checkDns1123Subdomain } from '../lib/names.ts'
import type { ObjectMeta } from './meta.ts'

/** Marks what stands for a worker: its Lease, and a Node object that was made from its facts. */
export const WORKER_LABEL = 'virtgate.io/worker'
/** Where the worker listens, as `HOST:PORT`; a host with colons stands in brackets. */
export const WORKER_ADDRESS = 'virtgate.io/address'
/** Which bundle of authorities the worker believes, for one that fetches it from a controller: SHA-256, base64url. */
export const WORKER_TRUST = 'virtgate.io/trust'
/** Which authority has signed the certificate that it shows: SHA-256 of its public key, base64url. */
export const WORKER_ISSUER = 'virtgate.io/issuer'
/** Bridges of a node's host that guests may be put on, with commas between: an annotation of Node objects. */
export const BRIDGES = 'virtgate.io/bridges'
/** Label by which a node is open or closed to guests. Source: KubeVirt's node labels. */
export const SCHEDULABLE_LABEL = 'kubevirt.io/schedulable'
/** What selects the Leases of workers. */
export const WORKER_SELECTOR = `${WORKER_LABEL}=true`
/** Seconds that a worker's Lease holds once the controller has heard of the worker. As a kubelet's. */
export const WORKER_LEASE_SECONDS = 40

/** Where kubelets keep the Leases of their nodes, and we those of nodes that are ours. Source: "Leases" in Kubernetes' documentation. */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease'

const PREFIX = 'virtgate-worker-'

/** Name of the Lease of a node's worker. Throws `RangeError` for what is no name of a node, or too long for it. */
export function workerLeaseName(nodeName: string): string {
  const name = `${PREFIX}${nodeName}`
  const [wrong] = [...checkDns1123Subdomain(nodeName), ...checkDns1123Subdomain(name)]
  if (wrong) throw new RangeError(`${JSON.stringify(nodeName)} is no name of a worker's node: ${wrong}`)
  return name
}

/** The Lease with the address, and marked as a worker's. Whoever else has labelled or annotated it has it kept. */
export function withWorkerAddress<T extends Partial<ObjectMeta>>(metadata: T, address: string): T {
  return {
    ...metadata,
    labels: { ...metadata.labels, [WORKER_LABEL]: 'true' },
    annotations: { ...metadata.annotations, [WORKER_ADDRESS]: address },
  }
}

/** Milliseconds since 1970 as Leases have it: RFC 3339 with millionths of a second. Source: `MicroTime`. */
export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
