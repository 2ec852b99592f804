import type { DatabaseSync } from 'node:sqlite'
import { DatabaseFailure } from './failure.ts'

/** `virt` as a number: marks the file as ours. */
const APPLICATION_ID = 0x76697274

/**
 * Statements that lead from each version of the tables to the next; the last one is what this program knows.
 *
 * `changes` does not hold the text after a change: it is `previous` of the next change to the same object, or the
 * object's present text. So each version is on disk once.
 */
const STEPS: readonly string[] = [
  `CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
   INSERT INTO counters VALUES ('revision', 0), ('compacted', 0);
   CREATE TABLE objects (
     kind TEXT NOT NULL,
     namespace TEXT NOT NULL,
     name TEXT NOT NULL,
     uid TEXT NOT NULL,
     revision INTEGER NOT NULL,
     written_ms INTEGER NOT NULL,
     json TEXT NOT NULL,
     PRIMARY KEY (kind, namespace, name)
   );
   CREATE UNIQUE INDEX objects_by_uid ON objects (uid);
   CREATE TABLE changes (
     revision INTEGER PRIMARY KEY,
     kind TEXT NOT NULL,
     namespace TEXT NOT NULL,
     name TEXT NOT NULL,
     type TEXT NOT NULL,
     at_ms INTEGER NOT NULL,
     previous TEXT
   );
   CREATE INDEX changes_by_object ON changes (kind, namespace, name, revision);
   CREATE INDEX changes_by_kind ON changes (kind, revision);`,
]

function readPragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0])
}

/** Brings the tables to the version this program knows. Throws `DatabaseFailure` where they are newer or foreign. */
export function migrate(db: DatabaseSync, file: string): void {
  const version = readPragma(db, 'user_version')
  const application = readPragma(db, 'application_id')
  const isEmpty = readPragma(db, 'schema_version') === 0
  if (!isEmpty && application !== APPLICATION_ID) {
    throw new DatabaseFailure(`${file} is the database of another program: use another data directory`)
  }
  if (version > STEPS.length) {
    throw new DatabaseFailure(
      `the database ${file} was written by a newer virtgate (tables ${version}, this one knows ${STEPS.length}): ` +
        'run that version, or use another data directory',
    )
  }
  if (version === STEPS.length) return
  db.exec('BEGIN IMMEDIATE')
  for (const step of STEPS.slice(version)) db.exec(step)
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${STEPS.length}; COMMIT`)
}
