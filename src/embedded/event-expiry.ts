import { EVENTS } from '../kinds/table.ts'
import { kindKey } from '../store/sqlite/rows.ts'
import type { BackgroundParts } from './background.ts'

/** How long an Event is kept after it was last written. Source: `--event-ttl` of kube-apiserver. */
const TTL_MS = 60 * 60 * 1000
const SWEEP_INTERVAL_MS = 60_000
/** Removed in one commit, so that no other write waits for long. */
const BATCH = 200

/** Removes Events an hour after they were last written. Closing it waits for a sweep that runs. */
export function startEventExpiry(
  { database, clock, log }: Pick<BackgroundParts, 'database' | 'clock' | 'log'>,
  { ttlMs = TTL_MS, intervalMs = SWEEP_INTERVAL_MS }: { ttlMs?: number; intervalMs?: number } = {},
): AsyncDisposable {
  let timer: Disposable | undefined
  const closing = new AbortController()
  let sweeping = Promise.resolve()

  const removeBatch = () =>
    database.write((transaction) => {
      const old = database.listWrittenBefore(kindKey(EVENTS), clock.now() - ttlMs).slice(0, BATCH)
      for (const key of old) transaction.remove(key)
      return old.length
    })

  async function sweep(): Promise<void> {
    try {
      while (!closing.signal.aborted && (await removeBatch()) === BATCH);
    } catch (err) {
      log.warn({ err, retryMs: intervalMs }, 'old Events could not be removed')
    }
    if (!closing.signal.aborted) schedule()
  }

  function schedule(): void {
    timer = clock.after(intervalMs, () => {
      sweeping = sweep()
    })
  }

  schedule()
  return {
    async [Symbol.asyncDispose]() {
      closing.abort()
      timer?.[Symbol.dispose]()
      await sweeping
    },
  }
}
