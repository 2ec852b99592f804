import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { DatabaseFailure, explainFailure } from './failure.ts'

/**
 * Opens a SQLite file for this process alone and looks it through.
 *
 * `full` flushes each commit to disk, `normal` leaves that to the checkpoints. Throws `DatabaseFailure`.
 */
export function openFile(file: string, durability: 'full' | 'normal'): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    keepPrivate(file)
    db = new DatabaseSync(file, { timeout: 1000 })
    // One process alone assigns revisions: the lock is held until the file is closed.
    db.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability.toUpperCase()}`,
    )
    db.exec('PRAGMA journal_size_limit = 67108864; BEGIN IMMEDIATE; COMMIT')
    const verdict = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})[0]
    if (verdict !== 'ok') {
      throw new DatabaseFailure(
        `the database ${file} is damaged (${String(verdict)}): put back a copy of it, or move it away to start with an empty one`,
      )
    }
    return db
  } catch (error) {
    db?.close()
    throw error instanceof DatabaseFailure ? error : explainFailure(file, error)
  }
}

/** Secrets stand in the database: it and the files that SQLite makes beside it are their owner's alone. */
function keepPrivate(file: string): void {
  if (file === ':memory:') return
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
}
