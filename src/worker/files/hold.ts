import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unlessMissing } from './errno.ts'
import { holdLock } from './lock.ts'

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

  constructor(stateDir: string, holder: StateDirHolder | undefined) {
    const who = holder
      ? `process ${holder.pid} (worker ${holder.nodeName}, since ${holder.since})`
      : 'another process'
    super(
      `the state directory ${stateDir} is in use by ${who}: stop that one first, or give this worker a directory of its own`,
    )
    this.name = 'StateDirInUse'
    this.holder = holder
  }
}

/**
 * Holds a state directory for this process alone. Throws `StateDirInUse`. `worker.holder.json` beside the lock is for the
 * message only.
 */
export async function holdStateDir(stateDir: string, holder: StateDirHolder): Promise<Disposable> {
  const note = join(stateDir, 'worker.holder.json')
  const lock = holdLock(stateDir, 'worker.lock')
  if (!lock) throw new StateDirInUse(stateDir, await readHolder(note))
  try {
    await writeFile(note, JSON.stringify(holder), { mode: 0o644 })
    return lock
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
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
