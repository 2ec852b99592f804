import type { DatabaseSync } from 'node:sqlite'
import { atRevision, type Change } from './rows.ts'

interface LoggedChange extends Omit<Change, 'json' | 'previousJson'> {
  previous: string | null
  /** Absent for a deleted object alone. */
  json: string | null
}

/** Reads the changes of a kind after a revision, oldest first. */
export function prepareChangesSince(db: DatabaseSync): (kind: string, revision: number) => Change[] {
  const select = db.prepare(
    `SELECT c.revision, c.kind, c.namespace, c.name, c.type, c.previous,
       CASE WHEN c.type = 'DELETED' THEN NULL ELSE coalesce(
         (SELECT next.previous FROM changes AS next
          WHERE next.kind = c.kind AND next.namespace = c.namespace AND next.name = c.name AND next.revision > c.revision
          ORDER BY next.revision LIMIT 1),
         (SELECT o.json FROM objects AS o WHERE o.kind = c.kind AND o.namespace = c.namespace AND o.name = c.name)
       ) END AS json
     FROM changes AS c WHERE c.kind = ? AND c.revision > ? ORDER BY c.revision`,
  )
  // The columns selected are those of LoggedChange.
  return (kind, revision) => (select.all(kind, revision) as unknown as LoggedChange[]).map(toChange)
}

function toChange({ previous, json, ...change }: LoggedChange): Change {
  // A change without a text after it is a deletion, which always has one before it.
  const after = json ?? atRevision(previous as string, change.revision)
  return previous === null ? { ...change, json: after } : { ...change, json: after, previousJson: previous }
}
