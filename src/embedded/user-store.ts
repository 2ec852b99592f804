import { parseExact } from '../lib/exact-json.ts'
import type { User } from '../auth/access.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Draft, KubeObject } from '../kinds/meta.ts'
import { hasReason } from '../lib/errors.ts'
import { copyJson } from '../lib/json.ts'
import type { Patch, Selection, Store, WatchEvent, WriteOptions } from '../store/store.ts'
import type { ObjectApi, WriteContext } from './api.ts'
import { asKind } from './objects/rows.ts'

/**
 * The object API for callers inside the process, acting as `user`: the same checks as for anybody.
 *
 * A field the schema does not know is refused, not dropped: it would be a mistake of ours.
 */
export function buildStore(api: ObjectApi, user: User): Store {
  const contextOf = ({ dryRun, subresource }: WriteOptions = {}): WriteContext => ({
    user,
    ...(dryRun && { dryRun }),
    ...(subresource && { subresource }),
    fieldValidation: 'Strict',
    warnings: [],
  })
  return {
    async get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) {
      try {
        return asKind(kind, await api.get(kind, namespace, name))
      } catch (error) {
        if (hasReason(error, 'NotFound')) return undefined
        throw error
      }
    },
    async list<T extends KubeObject>(kind: Kind<T>, selection: Selection = {}) {
      const { items, resourceVersion } = await api.list(kind, selection)
      return { items: items.map((item) => asKind(kind, item)), resourceVersion }
    },
    watch<T extends KubeObject>(
      kind: Kind<T>,
      resourceVersion: string,
      selection: Selection,
      signal: AbortSignal,
    ) {
      return readWatch<T>(api, kind, resourceVersion, selection, signal)
    },
    async create<T extends KubeObject>(kind: Kind<T>, draft: Draft<T>, options?: WriteOptions) {
      // What a draft lacks of an object, the API gives it.
      const object = copyJson<unknown>(draft) as KubeObject
      return asKind(kind, await api.create(kind, object.metadata.namespace ?? '', object, contextOf(options)))
    },
    async update<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions) {
      const { namespace = '', name } = object.metadata
      return asKind(kind, await api.update(kind, namespace, name, copyJson(object), contextOf(options)))
    },
    async patch<T extends KubeObject>(
      kind: Kind<T>,
      namespace: string,
      name: string,
      patch: Patch,
      options?: WriteOptions,
    ) {
      const body: unknown = copyJson<unknown>(patch.type === 'json' ? patch.operations : patch.body)
      return asKind(kind, await api.patch(kind, namespace, name, patch.type, body, contextOf(options)))
    },
    async delete(kind, namespace, name, options = {}) {
      await api.delete(kind, namespace, name, options, contextOf(options.dryRun ? { dryRun: true } : {}))
    },
  }
}

async function* readWatch<T extends KubeObject>(
  api: ObjectApi,
  kind: Kind<T>,
  resourceVersion: string,
  selection: Selection,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const options = { ...selection, resourceVersion, allowWatchBookmarks: true }
  for await (const { type, json } of api.watch(kind, options, signal)) {
    // Parsed anew: the caller may change its copy.
    yield { type, object: parseExact(json) as T }
  }
}
