import type { DatabaseSync } from 'node:sqlite'
import { explainFailure, isSqliteError, DatabaseFailure } from './failure.ts'

interface Waiting {
  run(): void
  settle(): void
  fail(error: unknown): void
}

/** Steps of writers, put into commits. */
export interface Commits {
  /** Runs `step` in the next commit and settles once that is on disk. */
  add<T>(step: () => T): Promise<T>
  /** Commits what waits, at once. */
  flush(): void
}

/**
 * Puts all steps that wait at the same time into one commit, so that they share one flush to disk.
 *
 * A step that throws undoes its own writes alone. `committing` runs inside the transaction after the steps,
 * `committed` once it is on disk, `undone` where a step (or all of them) left no trace. `took` is told how long it was until
 * then.
 */
export function buildCommits(
  db: DatabaseSync,
  file: string,
  hooks: {
    beforeStep(): () => void
    committing(): void
    committed(): void
    undone(): void
    took(ms: number): void
  },
): Commits {
  let queue: Waiting[] = []

  function runStep(waiting: Waiting): boolean {
    const undo = hooks.beforeStep()
    db.exec('SAVEPOINT step')
    try {
      waiting.run()
      db.exec('RELEASE step')
      return true
    } catch (error) {
      // After some errors, such as a full disk, SQLite has given up the whole transaction by itself.
      if (!db.isTransaction) throw error
      db.exec('ROLLBACK TO step; RELEASE step')
      undo()
      waiting.fail(isSqliteError(error) ? explainFailure(file, error) : error)
      return false
    }
  }

  function flush(): void {
    const batch = queue
    queue = []
    if (batch.length === 0) return
    let done: Waiting[]
    const since = performance.now()
    try {
      db.exec('BEGIN IMMEDIATE')
      done = batch.filter(runStep)
      hooks.committing()
      db.exec('COMMIT')
    } catch (error) {
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
      hooks.undone()
      const failure = db.isOpen ? explainFailure(file, error) : closed(file)
      // A step that failed by itself has its answer already; a second one is not heard.
      for (const waiting of batch) waiting.fail(failure)
      return
    }
    hooks.took(performance.now() - since)
    hooks.committed()
    for (const waiting of done) waiting.settle()
  }

  return {
    flush,
    add<T>(step: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        let result: T
        const run = () => void (result = step())
        if (queue.push({ run, settle: () => resolve(result), fail: reject }) === 1) setImmediate(flush)
      })
    },
  }
}

function closed(file: string): DatabaseFailure {
  return new DatabaseFailure(`the database ${file} is closed: this write came too late and was not kept`)
}
