import { loadKubeconfig, type ClusterConfig } from './config.ts'
import { isInCluster, loadInClusterConfig } from './in-cluster.ts'

/** Which Kubernetes API is meant. */
export interface ConfigChoice {
  /** Path of a kubeconfig; without it `KUBECONFIG`, then a pod's own credentials, then `~/.kube/config`. */
  kubeconfig?: string | undefined
  /** Context of the kubeconfig. */
  context?: string | undefined
}

/** What it takes to call it. `mount` is where a pod's credentials are. Throws `KubeconfigError`. */
export async function findConfig(
  { kubeconfig, context }: ConfigChoice,
  env: NodeJS.ProcessEnv = process.env,
  mount?: string,
): Promise<ClusterConfig> {
  const isNamed = kubeconfig ?? context ?? env.KUBECONFIG
  if (!isNamed && (await isInCluster(env, mount))) return loadInClusterConfig(env, mount)
  return loadKubeconfig({ path: kubeconfig, context, env })
}
