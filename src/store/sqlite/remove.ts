import type { DatabaseSync } from 'node:sqlite'
import type { KubeObject } from '../../kinds/meta.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Change, ObjectRow } from './rows.ts'

/** Removes an object as the change of this revision. */
export function prepareRemove(db: DatabaseSync, clock: Clock): (row: ObjectRow, revision: number) => Change {
  const erase = db.prepare('DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?')
  const log = db.prepare(
    "INSERT INTO changes (revision, kind, namespace, name, type, at_ms, previous) VALUES (?, ?, ?, ?, 'DELETED', ?, ?)",
  )
  return ({ kind, namespace, name, json }, revision) => {
    erase.run(kind, namespace, name)
    log.run(revision, kind, namespace, name, clock().getTime(), json)
    return { kind, namespace, name, revision, type: 'DELETED', json: atRevision(json, revision), previousJson: json }
  }
}

/** The object's JSON with another version: what a watch shows of a deleted object. */
export function atRevision(json: string, revision: number): string {
  // Only objects are stored.
  const object = JSON.parse(json) as KubeObject
  object.metadata.resourceVersion = String(revision)
  return JSON.stringify(object)
}
