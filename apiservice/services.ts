/** Where the API server is reached in a cluster. Source: contract, section 8.4. */
import { SERVICE_NAME, type InstallOptions, type Manifest } from './manifest.ts'

/** Core `v1` Service. */
export interface Service extends Manifest {
  spec: {
    type: 'ClusterIP'
    selector: Record<string, string>
    ports: { name: string; port: number; targetPort: string; protocol: 'TCP' }[]
  }
}

/** One Service for the API and the webhooks: both show the same certificate. Ports of the pod go by their names. */
export function buildServices({ namespace, webhookPort }: InstallOptions): Service[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: SERVICE_NAME, namespace, labels: { 'kubevirt.io': SERVICE_NAME } },
      spec: {
        type: 'ClusterIP',
        selector: { 'kubevirt.io': SERVICE_NAME },
        ports: [
          { name: 'https', port: 443, targetPort: 'https', protocol: 'TCP' },
          { name: 'webhooks', port: webhookPort, targetPort: 'webhooks', protocol: 'TCP' },
        ],
      },
    },
  ]
}
