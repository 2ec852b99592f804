import { writePrivate } from './files.ts'

/** What a kubeconfig is to hold: one cluster, one user. Certificates and keys are PEM. */
export interface KubeconfigContent {
  /** URL of the API, such as `https://127.0.0.1:6443`. */
  server: string
  ca: string
  clientCert: string
  clientKey: string
  namespace: string
  /** Name of cluster, user and context; `virtgate` when absent. */
  name?: string
}

/**
 * Writes a kubeconfig, readable by its owner alone.
 * Source: "Organizing Cluster Access Using kubeconfig Files" in the Kubernetes documentation.
 */
export async function writeKubeconfig(file: string, content: KubeconfigContent): Promise<void> {
  await writePrivate(file, formatKubeconfig(content))
}

/** The text of a kubeconfig. Strings stand in JSON's quotes, which YAML reads alike. */
export function formatKubeconfig(content: KubeconfigContent): string {
  const { server, ca, clientCert, clientKey, namespace, name = 'virtgate' } = content
  const quote = (text: string) => JSON.stringify(text)
  const base64 = (pem: string) => Buffer.from(pem).toString('base64')
  return `apiVersion: v1
kind: Config
clusters:
  - name: ${quote(name)}
    cluster:
      server: ${quote(server)}
      certificate-authority-data: ${base64(ca)}
users:
  - name: ${quote(name)}
    user:
      client-certificate-data: ${base64(clientCert)}
      client-key-data: ${base64(clientKey)}
contexts:
  - name: ${quote(name)}
    context:
      cluster: ${quote(name)}
      user: ${quote(name)}
      namespace: ${quote(namespace)}
current-context: ${quote(name)}
`
}
