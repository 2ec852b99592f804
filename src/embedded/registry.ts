import { refusedKind } from '../kinds/kind.ts'
import { noSuchPath, notFound } from '../lib/errors.ts'
import type { ObjectApi } from './api.ts'
import { createObject } from './objects/create.ts'
import { deleteObject, deleteObjects } from './objects/delete.ts'
import { listObjects, openListing } from './objects/list.ts'
import { patchObject } from './objects/patch.ts'
import { keyOfTarget, parseObject } from './objects/rows.ts'
import { updateObject } from './objects/update.ts'
import { openWatchHub } from './objects/watch-hub.ts'
import { watchObjects } from './objects/watch.ts'
import type { RegistryParts } from './parts.ts'
import { buildStore } from './user-store.ts'

export type { RegistryParts } from './parts.ts'

/**
 * The object API on a database. Closing it ends the hand-out of changes; the database stays open.
 */
export function buildRegistry(parts: RegistryParts): ObjectApi & Disposable {
  const hub = openWatchHub(parts.database)
  const api: ObjectApi = {
    async get(kind, namespace, name) {
      const row = parts.database.get(keyOfTarget({ kind, namespace, name }))
      if (!row) throw notFound(refusedKind(kind), name)
      return parseObject(row)
    },
    async list(kind, options) {
      return listObjects(parts.database, kind, options)
    },
    openList: (kind, options) => openListing(parts.database, kind, options),
    async create(kind, namespace, object, context) {
      if (context.subresource) throw noSuchPath()
      return createObject(parts, kind, namespace, object, context)
    },
    async update(kind, namespace, name, object, context) {
      return updateObject(parts, { kind, namespace, name }, object, context)
    },
    async patch(kind, namespace, name, type, body, context) {
      return patchObject(parts, { kind, namespace, name }, type, body, context)
    },
    async delete(kind, namespace, name, options, context) {
      return deleteObject(parts, { kind, namespace, name }, options, context.dryRun ?? false)
    },
    async deleteCollection(kind, selection, options, context) {
      return deleteObjects(parts, kind, selection, options, context.dryRun ?? false)
    },
    watch(kind, options, signal) {
      return watchObjects(parts, hub, kind, options, signal)
    },
    as(user) {
      return buildStore(api, user)
    },
  }
  return Object.assign(api, { [Symbol.dispose]: () => hub[Symbol.dispose]() })
}
