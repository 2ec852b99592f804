/** What makes kube-apiserver forward the subresource group to us. Source: contract, section 8.4. */
import { GROUP, VERSIONS } from '../src/http/group.ts'
import { registrationMetadata, SERVICE_NAME, type InstallOptions, type Manifest } from './manifest.ts'

/** `apiregistration.k8s.io/v1` APIService. */
export interface ApiService extends Manifest {
  spec: {
    group: string
    version: string
    service: { name: string; namespace: string; port: number }
    groupPriorityMinimum: number
    versionPriority: number
    insecureSkipTLSVerify: boolean
    caBundle?: string
  }
}

/** Both versions have the same priority: kube-apiserver then prefers `v1` by its name. */
const PRIORITIES = { groupPriorityMinimum: 1000, versionPriority: 15 }

/** One for each version. */
export function buildApiServices({ namespace, caBundle }: InstallOptions): ApiService[] {
  return VERSIONS.map((version) => ({
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: registrationMetadata(`${version}.${GROUP}`, 'virt-api-aggregator'),
    spec: {
      group: GROUP,
      version,
      service: { name: SERVICE_NAME, namespace, port: 443 },
      ...PRIORITIES,
      insecureSkipTLSVerify: false,
      ...(caBundle !== undefined && { caBundle }),
    },
  }))
}
