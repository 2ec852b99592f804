import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../lib/clock.ts'

/** How much of the past is kept for watches and for the pages of a list. */
export interface Retention {
  changes: number
  ageMs: number
}

/** A watch that was away for an hour, or ten thousand changes, lists again. */
export const DEFAULT_RETENTION: Retention = { changes: 10_000, ageMs: 60 * 60 * 1000 }

/** Forgets old changes; answers the revision up to which nothing is kept. */
export function prepareCompact(
  db: DatabaseSync,
  clock: Pick<Clock, 'now'>,
  retention: Retention,
): (revision: number, compacted: number) => number {
  const newestOld = db.prepare(
    'SELECT coalesce(max(revision), 0) AS revision FROM changes WHERE at_ms < ? AND revision > ?',
  )
  const forget = db.prepare('DELETE FROM changes WHERE revision <= ?')
  const note = db.prepare("UPDATE counters SET value = ? WHERE name = 'compacted'")
  return (revision, compacted) => {
    const byAge = Number(newestOld.get(clock.now() - retention.ageMs, compacted)?.revision)
    const upTo = Math.max(byAge, revision - retention.changes, compacted)
    if (upTo === compacted) return compacted
    forget.run(upTo)
    note.run(upTo)
    return upTo
  }
}
