import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../lib/clock.ts'
import { atRevision, type Change, type ObjectRow } from './rows.ts'

/** Removes an object as the change of this revision. */
export function prepareRemove(
  db: DatabaseSync,
  clock: Pick<Clock, 'now'>,
): (row: ObjectRow, revision: number) => Change {
  const erase = db.prepare('DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?')
  const log = db.prepare(
    "INSERT INTO changes (revision, kind, namespace, name, type, at_ms, previous) VALUES (?, ?, ?, ?, 'DELETED', ?, ?)",
  )
  return ({ kind, namespace, name, json }, revision) => {
    erase.run(kind, namespace, name)
    log.run(revision, kind, namespace, name, clock.now(), json)
    return {
      kind,
      namespace,
      name,
      revision,
      type: 'DELETED',
      json: atRevision(json, revision),
      previousJson: json,
    }
  }
}
