import type { DatabaseSync } from 'node:sqlite'
import type { KubeObject } from '../../kinds/meta.ts'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { prepareChangesSince } from './changes.ts'
import { buildCommits } from './commits.ts'
import { DEFAULT_RETENTION, prepareCompact, type Retention } from './compact.ts'
import { DatabaseFailure, explainFailure } from './failure.ts'
import { openFile } from './file.ts'
import { prepareFindByUid, prepareGet, prepareHas } from './get.ts'
import { prepareCount, prepareList, prepareListWrittenBefore } from './list.ts'
import { preparePut } from './put.ts'
import { prepareRemove } from './remove.ts'
import type { Change, ObjectDatabase, Transaction } from './rows.ts'
import { migrate } from './schema.ts'

/** How the database is opened. */
export interface DatabaseOptions {
  /** A path, or `:memory:`. Its directory must exist. */
  file: string
  /**
   * `full`: an acknowledged write survives `kill -9` and power loss. `normal`: power loss may take the last
   * moments; the file stays sound.
   */
  durability?: 'full' | 'normal'
  clock?: Pick<Clock, 'now'>
  retention?: Retention
  /** Told how long each commit took, in milliseconds. */
  onCommit?: ((tookMs: number) => void) | undefined
}

/** Old changes are forgotten once in this many revisions. */
const COMPACTION_INTERVAL = 500

/** Opens the database and makes its tables. Throws `DatabaseFailure`, naming the file and what to do. */
export function openObjectDatabase(options: DatabaseOptions): ObjectDatabase {
  const { file, durability = 'full', clock = systemClock, retention = DEFAULT_RETENTION } = options
  const db = openFile(file, durability)
  try {
    migrate(db, file)
    return buildDatabase(db, { file, clock, retention, onCommit: options.onCommit })
  } catch (error) {
    db.close()
    throw error instanceof DatabaseFailure ? error : explainFailure(file, error)
  }
}

type Opened = Required<Pick<DatabaseOptions, 'file' | 'clock' | 'retention'>> &
  Pick<DatabaseOptions, 'onCommit'>

function buildDatabase(db: DatabaseSync, { file, clock, retention, onCommit }: Opened): ObjectDatabase {
  const counters = readCounters(db)
  let { revision, compacted } = counters
  // Ahead of `revision` while a commit is being put together.
  let next = revision
  let changes: Change[] = []
  const listeners = new Set<(changes: readonly Change[]) => void>()

  const get = prepareGet(db)
  const put = preparePut(db, clock)
  const remove = prepareRemove(db, clock)
  const compact = prepareCompact(db, clock, retention)
  const noteRevision = db.prepare("UPDATE counters SET value = ? WHERE name = 'revision'")
  compacted = compact(revision, compacted)
  let compactedAt = revision

  const transaction: Transaction = {
    get,
    has: prepareHas(db),
    put<T extends KubeObject>(kind: string, object: T): T {
      changes.push(put(kind, object, ++next))
      return object
    },
    remove(key) {
      const row = get(key)
      if (row) changes.push(remove(row, ++next))
      return row
    },
  }

  let compactedNext = compacted
  const commits = buildCommits(db, file, {
    beforeStep() {
      const [count, before] = [changes.length, next]
      return () => {
        changes.length = count
        next = before
      }
    },
    committing() {
      compactedNext = next - compactedAt >= COMPACTION_INTERVAL ? compact(next, compacted) : compacted
      if (next !== revision) noteRevision.run(next)
    },
    committed() {
      const news = changes
      changes = []
      revision = next
      if (compactedNext !== compacted) compactedAt = revision
      compacted = compactedNext
      if (news.length > 0) for (const listener of listeners) listener(news)
    },
    undone() {
      changes = []
      next = revision
    },
    took: (ms) => onCommit?.(ms),
  })

  return {
    revision: () => revision,
    compactedRevision: () => compacted,
    get,
    findByUid: prepareFindByUid(db),
    list: prepareList(db),
    count: prepareCount(db),
    listWrittenBefore: prepareListWrittenBefore(db),
    changesSince: prepareChangesSince(db),
    write: (step) => commits.add(() => step(transaction)),
    subscribe(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    [Symbol.dispose]() {
      if (!db.isOpen) return
      commits.flush()
      db.close()
    },
  }
}

function readCounters(db: DatabaseSync): { revision: number; compacted: number } {
  const rows = db.prepare('SELECT name, value FROM counters').all()
  const valueOf = (name: string) => Number(rows.find((row) => row.name === name)?.value ?? 0)
  return { revision: valueOf('revision'), compacted: valueOf('compacted') }
}
