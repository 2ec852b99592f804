import { formatExact } from '../../lib/exact-json.ts'
import type { DatabaseSync } from 'node:sqlite'
import type { KubeObject } from '../../kinds/meta.ts'
import type { Clock } from '../../lib/clock.ts'
import { prepareGet } from './get.ts'
import type { Change } from './rows.ts'

/** Creates or replaces an object as the change of this revision. */
export function preparePut(
  db: DatabaseSync,
  clock: Pick<Clock, 'now'>,
): (kind: string, object: KubeObject, revision: number) => Change {
  const get = prepareGet(db)
  const upsert = db.prepare(
    `INSERT INTO objects (kind, namespace, name, uid, revision, written_ms, json) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (kind, namespace, name) DO UPDATE SET uid = excluded.uid, revision = excluded.revision,
       written_ms = excluded.written_ms, json = excluded.json`,
  )
  const log = db.prepare(
    'INSERT INTO changes (revision, kind, namespace, name, type, at_ms, previous) VALUES (?, ?, ?, ?, ?, ?, ?)',
  )
  return (kind, object, revision) => {
    object.metadata.resourceVersion = String(revision)
    const { namespace = '', name, uid } = object.metadata
    const nowMs = clock.now()
    const previous = get({ kind, namespace, name })?.json
    const json = formatExact(object)
    const type = previous === undefined ? 'ADDED' : 'MODIFIED'
    upsert.run(kind, namespace, name, uid, revision, nowMs, json)
    log.run(revision, kind, namespace, name, type, nowMs, previous ?? null)
    const change = { kind, namespace, name, revision, type, json } as const
    return previous === undefined ? change : { ...change, previousJson: previous }
  }
}
