import { parseExact } from '../../lib/exact-json.ts'
import { refusedKind, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { notFound } from '../../lib/errors.ts'
import { kindKey, type ObjectKey, type ObjectRow } from '../../store/sqlite/rows.ts'
import type { AnyObject, Target } from '../parts.ts'

/** The object that a row holds: a new copy at each call. */
export function parseObject(row: { json: string }): AnyObject {
  // Only objects are stored.
  return parseExact(row.json) as AnyObject
}

/** Where the target's row stands. */
export function keyOfTarget({ kind, namespace, name }: Target): ObjectKey {
  return { kind: kindKey(kind), namespace: kind.namespaced ? namespace : '', name }
}

/** Throws 404 where there is no such object. */
export function requireRow(row: ObjectRow | undefined, kind: Kind, name: string): ObjectRow {
  if (!row) throw notFound(refusedKind(kind), name)
  return row
}

/** An object as its kind's type. What is stored under a kind has it: its schema was checked when it was written. */
export function asKind<T extends KubeObject>(_kind: Kind<T>, object: KubeObject): T {
  return object as T
}
