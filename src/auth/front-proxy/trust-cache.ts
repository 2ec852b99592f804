import { selectOne } from '../../kinds/meta.ts'
import { CONFIGMAPS } from '../../kinds/table.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { OpenInformer } from '../../store/cache.ts'
import type { ObjectReader, ObjectWatcher } from '../../store/store.ts'
import { NoTrust, readTrust, TRUST_CONFIGMAP, type FrontProxyTrust } from './trust.ts'

/** What kube-apiserver says about the requests that it forwards, as it is now. */
export interface TrustSource {
  /** The same object until something changes. Throws `NoTrust`. */
  current(): FrontProxyTrust
}

/** A source that has to be closed. */
export interface TrustCache extends TrustSource, AsyncDisposable {
  /** Resolves once the ConfigMap was looked for. */
  readonly synced: Promise<void>
}

/** What the cache is opened with. */
export interface TrustCacheOptions {
  store: ObjectReader & ObjectWatcher
  openInformer: OpenInformer
  clock: Clock
  log: Log
}

/** Follows the one ConfigMap. A change counts from the next request on, on connections that are open too. */
export function openTrustCache({ store, openInformer, clock, log }: TrustCacheOptions): TrustCache {
  const { namespace, name } = TRUST_CONFIGMAP
  const informer = openInformer(store, CONFIGMAPS, selectOne(TRUST_CONFIGMAP), { clock, log })
  let state: { trust: FrontProxyTrust } | { problem: NoTrust } = {
    problem: new NoTrust(
      `ConfigMap ${namespace}/${name} has not been read yet; where this lasts, bind our service account to the Role ` +
        `extension-apiserver-authentication-reader in ${namespace}`,
    ),
  }
  const read = (): void => {
    state = tryRead(() => readTrust(informer.get(namespace, name)))
    if ('problem' in state)
      log.error({ err: state.problem }, 'requests that kube-apiserver forwards are refused')
    else log.info({}, 'requests that kube-apiserver forwards are believed')
  }
  informer.onChange(read)
  let isClosed = false
  const synced = informer.synced.then(() => {
    // With a ConfigMap there was a change already.
    if (!isClosed && !informer.get(namespace, name)) read()
  })
  return {
    synced,
    current() {
      if ('problem' in state) throw state.problem
      return state.trust
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      await informer[Symbol.asyncDispose]()
      await synced
    },
  }
}

function tryRead(read: () => FrontProxyTrust): { trust: FrontProxyTrust } | { problem: NoTrust } {
  try {
    return { trust: read() }
  } catch (error) {
    if (error instanceof NoTrust) return { problem: error }
    throw error
  }
}
