import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { unlessMissing } from './errno.ts'

/** Who works with a state directory, as the next one who wants it is told. */
export interface StateDirHolder {
  pid: number
  nodeName: string
  /** RFC 3339. */
  since: string
}

/** Another worker has the state directory. */
export class StateDirInUse extends Error {
  readonly holder: StateDirHolder | undefined

  constructor(stateDir: string, holder: StateDirHolder | undefined, cause: unknown) {
    const who = holder
      ? `process ${holder.pid} (worker ${holder.nodeName}, since ${holder.since})`
      : 'another process'
    super(
      `the state directory ${stateDir} is in use by ${who}: stop that one first, or give this worker a directory of its own`,
      { cause },
    )
    this.name = 'StateDirInUse'
    this.holder = holder
  }
}

/** Result code of SQLite: another connection has the lock. */
const SQLITE_BUSY = 5

/**
 * Holds a state directory for this process alone. Throws `StateDirInUse`.
 *
 * The lock is the one that SQLite puts on `worker.lock`: the kernel frees it with the process, however that ends,
 * so that none is ever stale. Nothing is stored in it. `worker.holder.json` beside it is for the message only.
 */
export async function holdStateDir(stateDir: string, holder: StateDirHolder): Promise<Disposable> {
  const lock = new DatabaseSync(join(stateDir, 'worker.lock'))
  const note = join(stateDir, 'worker.holder.json')
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    await writeFile(note, JSON.stringify(holder), { mode: 0o644 })
  } catch (error) {
    lock.close()
    throw isBusy(error) ? new StateDirInUse(stateDir, await readHolder(note), error) : error
  }
  return { [Symbol.dispose]: () => lock.close() }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}

async function readHolder(note: string): Promise<StateDirHolder | undefined> {
  const text = await unlessMissing(readFile(note, 'utf8'))
  try {
    // Written by this file alone; whoever reads it while it is being written sees no JSON.
    return text === undefined ? undefined : (JSON.parse(text) as StateDirHolder)
  } catch {
    // The refusal stands without a name.
    return undefined
  }
}
