import { configurationOf, type KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Informer } from '../store/cache.ts'
import { openInformer } from '../store/informer.ts'
import type { ObjectReader, ObjectWatcher } from '../store/store.ts'

/** The KubeVirt configuration, kept in memory. */
export interface ConfigurationCache extends AsyncDisposable {
  /** What the KubeVirt object says now. Waits for the first list. */
  read(): Promise<KubeVirtConfiguration>
  /** All KubeVirt objects. Waits for the first list. */
  kubeVirts(): Promise<readonly KubeVirt[]>
  /** The objects behind it. */
  readonly objects: Pick<Informer<KubeVirt>, 'list' | 'synced'>
}

/** Follows the KubeVirt object, so that nothing is asked over the network for each call. */
export function openConfigurationCache(
  store: ObjectReader & ObjectWatcher,
  clock: Clock,
  log: Log,
): ConfigurationCache {
  const informer = openInformer(store, KUBEVIRTS, {}, { clock, log })
  const kubeVirts = async () => {
    await informer.synced
    return informer.list()
  }
  return {
    kubeVirts,
    read: async () => configurationOf(await kubeVirts()),
    objects: informer,
    [Symbol.asyncDispose]: () => informer[Symbol.asyncDispose](),
  }
}
