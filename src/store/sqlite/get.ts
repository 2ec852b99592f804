import type { DatabaseSync } from 'node:sqlite'
import type { ObjectKey, ObjectRow } from './rows.ts'

const COLUMNS = 'kind, namespace, name, uid, revision, json'

/** Reads one object. */
export function prepareGet(db: DatabaseSync): (key: ObjectKey) => ObjectRow | undefined {
  const select = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE kind = ? AND namespace = ? AND name = ?`)
  // The columns above are those of ObjectRow.
  return ({ kind, namespace, name }) => select.get(kind, namespace, name) as ObjectRow | undefined
}

/** Reads the object that has a UID. */
export function prepareFindByUid(db: DatabaseSync): (uid: string) => ObjectRow | undefined {
  const select = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE uid = ?`)
  return (uid) => select.get(uid) as ObjectRow | undefined
}

/** Whether a namespace holds any object of a kind. */
export function prepareHas(db: DatabaseSync): (query: { kind: string; namespace: string }) => boolean {
  const select = db.prepare('SELECT 1 FROM objects WHERE kind = ? AND namespace = ? LIMIT 1')
  return ({ kind, namespace }) => select.get(kind, namespace) !== undefined
}
