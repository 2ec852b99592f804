import { openKubeClient, type CallWatcher, type KubeClient } from '../kube/client.ts'
import { findConfig, type ConfigChoice } from '../kube/find-config.ts'
import { apiVersionOf } from '../kinds/kind.ts'
import { VMS } from '../kinds/table.ts'
import { StatusError } from '../lib/errors.ts'
import { collectionPath } from '../store/kube/paths.ts'
import { openKubeStore } from '../store/kube/store.ts'
import type { Store } from '../store/store.ts'

/** Which Kubernetes API holds the objects. */
export type ClusterOptions = ConfigChoice

/** The Kubernetes API that holds the objects, as the user of this process. */
export interface Cluster extends AsyncDisposable {
  client: KubeClient
  store: Store
}

/** The API does not know the kinds that everything here is about. */
export class KubeVirtNotServed extends Error {
  constructor(server: string, cause: unknown) {
    super(`${server} does not serve ${apiVersionOf(VMS)}: install the CustomResourceDefinitions first`, {
      cause,
    })
    this.name = 'KubeVirtNotServed'
  }
}

/**
 * Opens the API after making sure that it answers, serves VMs and lets us read them. Throws `KubeconfigError`,
 * `ApiUnreachable`, `KubeVirtNotServed`, or the refusal.
 */
export async function openCluster(options: ClusterOptions, watcher?: CallWatcher): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const client = stack.use(openKubeClient(await findConfig(options), undefined, watcher))
  try {
    await client.call({ method: 'GET', path: collectionPath(VMS, ''), query: { limit: 1 } })
  } catch (error) {
    const isUnknown = error instanceof StatusError && error.code === 404
    throw isUnknown ? new KubeVirtNotServed(client.config.server, error) : error
  }
  const open = stack.move()
  return { client, store: openKubeStore(client), [Symbol.asyncDispose]: () => open.disposeAsync() }
}
