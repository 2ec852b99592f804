import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KubeconfigError, type ClusterConfig } from './config.ts'

/** Where Kubernetes mounts a pod's credentials. */
const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Whether this process runs in a pod that has credentials. */
export async function isInCluster(env: NodeJS.ProcessEnv = process.env, mount = MOUNT): Promise<boolean> {
  if (!env.KUBERNETES_SERVICE_HOST) return false
  return access(join(mount, 'token')).then(
    () => true,
    () => false,
  )
}

/**
 * The cluster a pod runs in, as its service account. The token is read again at each call: the kubelet replaces it.
 * Throws `KubeconfigError` outside a pod.
 * Source: "Accessing the Kubernetes API from a Pod" in the Kubernetes documentation.
 */
export async function loadInClusterConfig(
  env: NodeJS.ProcessEnv = process.env,
  mount = MOUNT,
): Promise<ClusterConfig> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (!host) {
    throw new KubeconfigError(
      'this is no pod: KUBERNETES_SERVICE_HOST is not set. Name a kubeconfig instead.',
    )
  }
  const read = async (name: string) => {
    const file = join(mount, name)
    return readFile(file, 'utf8').catch((error: unknown) => {
      throw new KubeconfigError(`cannot read ${file}: does the pod mount a service account token?`, error)
    })
  }
  const [ca, namespace] = [await read('ca.crt'), await read('namespace')]
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim(),
    tls: { ca },
    token: async () => (await read('token')).trim(),
  }
}
