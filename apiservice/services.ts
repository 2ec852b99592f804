/** Where the API server and the controllers are reached in a cluster. Source: contract, section 8.4. */
import { CONTROLLER_SERVICE_NAME } from '../src/kinds/installation.ts'
import { SERVICE_NAME, type InstallOptions, type Manifest } from './manifest.ts'

/** Core `v1` Service. */
export interface Service extends Manifest {
  spec: {
    type: 'ClusterIP'
    selector: Record<string, string>
    ports: { name: string; port: number; targetPort: string; protocol: 'TCP' }[]
  }
}

/** Where workers enrol, at the Service of the controllers and in their pods. */
const ENROL_PORT = 8187

/**
 * One Service for the API and the webhooks, which show the same certificate, and one for the controllers, at which workers
 * enrol. Ports of pods go by their names.
 */
export function buildServices({ namespace, webhookPort }: InstallOptions): Service[] {
  return [
    service(SERVICE_NAME, namespace, [
      ['https', 443],
      ['webhooks', webhookPort],
    ]),
    service(CONTROLLER_SERVICE_NAME, namespace, [['enrol', ENROL_PORT]]),
  ]
}

function service(name: string, namespace: string, ports: [name: string, port: number][]): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { 'kubevirt.io': name } },
    spec: {
      type: 'ClusterIP',
      selector: { 'kubevirt.io': name },
      ports: ports.map(([port, number]) => ({ name: port, port: number, targetPort: port, protocol: 'TCP' })),
    },
  }
}
