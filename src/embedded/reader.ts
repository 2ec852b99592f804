import type { ObjectDatabase } from '../store/sqlite/rows.ts'
import type { ObjectReader } from '../store/store.ts'
import { listObjects } from './objects/list.ts'
import { asKind, keyOfTarget, parseObject } from './objects/rows.ts'

/** Reads objects as they are stored: for admission and for authorization, which the object API builds on. */
export function buildReader(database: ObjectDatabase): ObjectReader {
  return {
    async get(kind, namespace, name) {
      const row = database.get(keyOfTarget({ kind, namespace, name }))
      return row && asKind(kind, parseObject(row))
    },
    async list(kind, selection = {}) {
      const { items, resourceVersion } = await listObjects(database, kind, selection)
      return { items: items.map((item) => asKind(kind, item)), resourceVersion }
    },
  }
}
