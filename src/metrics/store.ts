/** The database of embedded mode. Source: contract metrics.md, section 9.8. */
import { stat } from 'node:fs/promises'
import type { Metrics } from './exposition.ts'
import type { Reading } from './reading.ts'

/** Tells how large the database is, with its log of commits beside it; answers what is to be told of commits. */
export function watchStore(metrics: Metrics, file: string): (commitMs: number) => void {
  const durations = metrics.histogram('virtgate_store_transaction_duration_seconds')
  metrics.add({
    source: 'database',
    collect: async () => [...(await sizeOf('database', file)), ...(await sizeOf('wal', `${file}-wal`))],
  })
  return (commitMs) => durations.observe({}, commitMs / 1000)
}

async function sizeOf(what: string, file: string): Promise<Reading[]> {
  try {
    return [{ name: 'virtgate_store_size_bytes', labels: { file: what }, value: (await stat(file)).size }]
  } catch {
    // There is no log where nothing was written yet.
    return []
  }
}
