import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Result code of SQLite: another connection has the lock. */
const SQLITE_BUSY = 5

/**
 * Holds a lock in a directory for this process alone; `undefined` where another one has it. It is the one that SQLite puts on
 * the file: the kernel frees it with the process, however that ends, so that none is ever stale. Nothing is stored in it.
 */
export function holdLock(dir: string, name: string): Disposable | undefined {
  const lock = new DatabaseSync(join(dir, name))
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined
    throw error
  }
  return { [Symbol.dispose]: () => lock.close() }
}
