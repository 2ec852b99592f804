import { serviceUnavailable } from '../../lib/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from '../../kinds/table.ts'
import type { OpenInformer } from '../../store/cache.ts'
import type { ObjectReader, ObjectWatcher } from '../../store/store.ts'
import type { RbacSource } from './source.ts'

/** What the cache of roles is opened with. */
export interface RbacCacheOptions {
  store: ObjectReader & ObjectWatcher
  openInformer: OpenInformer
  clock: Clock
  log: Log
}

/** All roles and bindings, in memory. */
export interface RbacCache extends RbacSource, AsyncDisposable {}

/** How long roles may be read from a cache whose watch is broken. */
const STALE_AFTER_MS = 10_000

/**
 * Holds all roles and bindings in memory and follows the store. Resolves once everything is listed.
 *
 * It is as current as the store's watch: over a store in the same process, a write that has been answered is seen by
 * the next request. Where a watch is broken for 10 s, `assertCurrent` throws 503 until it is listed again.
 */
export async function openRbacCache(options: RbacCacheOptions): Promise<RbacCache> {
  const { store, openInformer, clock, log } = options
  const freshness = trackFreshness(store, clock)
  const common = { clock, log }
  const indexes = { namespace: ({ metadata }: { metadata: { namespace: string } }) => [metadata.namespace] }

  await using stack = new AsyncDisposableStack()
  const roles = stack.use(openInformer(freshness.store, ROLES, {}, common))
  const clusterRoles = stack.use(openInformer(freshness.store, CLUSTER_ROLES, {}, common))
  const bindings = stack.use(openInformer(freshness.store, ROLE_BINDINGS, {}, { ...common, indexes }))
  const clusterBindings = stack.use(openInformer(freshness.store, CLUSTER_ROLE_BINDINGS, {}, common))
  await Promise.all([roles.synced, clusterRoles.synced, bindings.synced, clusterBindings.synced])
  const open = stack.move()
  return {
    role: (namespace, name) => roles.get(namespace, name),
    clusterRole: (name) => clusterRoles.get('', name),
    roleBindings: (namespace) => bindings.by('namespace', namespace),
    clusterRoleBindings: () => clusterBindings.list(),
    assertCurrent() {
      const since = freshness.brokenSince()
      if (since === undefined || clock.now() - since < STALE_AFTER_MS) return
      throw serviceUnavailable('access cannot be decided: roles and bindings cannot be read at the moment', 1)
    },
    async [Symbol.asyncDispose]() {
      freshness.end()
      await open.disposeAsync()
    },
  }
}

interface Freshness {
  store: ObjectReader & ObjectWatcher
  /** Since when some kind is not followed; `undefined` while all are. Milliseconds since 1970. */
  brokenSince(): number | undefined
  /** From now on nothing is followed. */
  end(): void
}

/** A watch that throws breaks a kind; the list that the informer then makes mends it. */
function trackFreshness(store: ObjectReader & ObjectWatcher, clock: Clock): Freshness {
  const broken = new Map<string, number>()
  let isOver = false
  return {
    brokenSince: () => (isOver ? 0 : broken.size === 0 ? undefined : Math.min(...broken.values())),
    end: () => void (isOver = true),
    store: {
      get: (kind, namespace, name) => store.get(kind, namespace, name),
      async list(kind, selection) {
        const list = await store.list(kind, selection)
        broken.delete(kind.plural)
        return list
      },
      async *watch(kind, resourceVersion, selection, signal) {
        try {
          yield* store.watch(kind, resourceVersion, selection, signal)
        } catch (error) {
          if (!broken.has(kind.plural)) broken.set(kind.plural, clock.now())
          throw error
        }
      },
    },
  }
}
