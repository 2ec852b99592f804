/** What the certificates of an installation say. */
import { splitHosts } from '../../../certs/inspect.ts'
import { roleUri } from '../../../certs/roles.ts'
import { API_SERVICE_NAME, CONTROLLER_SERVICE_NAME, WORKER_SERVER_NAME } from '../../kinds/installation.ts'
import type { LeafWish } from './outlets.ts'

/** What the API server and the webhooks show; `hosts` are names and addresses besides those of the Service. */
export function servingWish(namespace: string, hosts: readonly string[]): LeafWish {
  const names = splitHosts([...serviceNames(API_SERVICE_NAME, namespace), ...hosts])
  return { commonName: `${API_SERVICE_NAME}.${namespace}.svc`, usage: 'server', ...names }
}

/** What a process shows to workers that it calls. */
export function callerWish(role: 'apiserver' | 'controller' | 'monitor'): LeafWish {
  return { commonName: role, usage: 'client', uris: [roleUri({ role })] }
}

/** What controllers show to workers that enrol: those go by the URI, at whatever address they find a controller. */
export function enrolmentWish(namespace: string): LeafWish {
  return {
    commonName: 'enrolment',
    usage: 'server',
    dnsNames: serviceNames(CONTROLLER_SERVICE_NAME, namespace),
    uris: [roleUri({ role: 'controller' })],
  }
}

/**
 * What a worker shows to those who call it, and to controllers when it renews. The node stands in the URI alone: QEMU
 * goes by common and DNS names where guests move, and must not take a node for one side of a migration. The DNS name is
 * that of all workers.
 */
export function workerWish(node: string): LeafWish {
  return {
    commonName: `worker:${node}`,
    usage: 'both',
    dnsNames: [WORKER_SERVER_NAME],
    uris: [roleUri({ role: 'worker', node })],
  }
}

/** Source: "DNS for Services and Pods" in the Kubernetes documentation. */
function serviceNames(service: string, namespace: string): string[] {
  return [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
  ]
}
