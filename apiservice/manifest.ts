import { API_SERVICE_NAME, INSTALL_NAMESPACE, TLS_SECRETS } from '../src/kinds/installation.ts'

/** An object as it is applied to a cluster. */
export interface Manifest {
  apiVersion: string
  kind: string
  metadata: {
    name?: string
    namespace?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  }
}

/** How an installation differs from another. */
export interface InstallOptions {
  /** Where the API server, the controller and the workers are. */
  namespace: string
  /** Base64 of the PEM of the authorities that the serving certificate comes from; filled in later where absent. */
  caBundle?: string
  /** Port of the Service at which the webhooks are. */
  webhookPort: number
  /** Whether the roles become part of Kubernetes' own `admin`, `edit` and `view`. Source: security.md, B6. */
  aggregateRoles: boolean
}

/** What the generated files are built with. */
export const DEFAULTS: InstallOptions = {
  namespace: INSTALL_NAMESPACE,
  webhookPort: 9443,
  aggregateRoles: true,
}

/** The Service in front of the API server; its certificate is for `virt-api.NAMESPACE.svc`. */
export const SERVICE_NAME = API_SERVICE_NAME

/** Where the serving certificate is, for whoever fills in `caBundle`. Source: contract, 8.4. */
const CERTIFICATE = { 'certificates.kubevirt.io/secret': TLS_SECRETS.serving }

/** Metadata of an object that carries a CA bundle. Source: contract, 8.4; admission-overview.md, 7. */
export function registrationMetadata(name: string, component: string) {
  return {
    name,
    labels: { 'kubevirt.io': component, 'app.kubernetes.io/managed-by': 'virtgate' },
    annotations: CERTIFICATE,
  }
}
