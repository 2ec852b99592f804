import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { watchStore } from '../../src/metrics/store.ts'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'
import { memoryLog } from '../helpers/api.ts'
import { readText, valueOf } from '../helpers/exposition.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'

test('each commit to the database is told, and the size of its files', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'vg-met-'))
  try {
    const metrics = openMetrics({ clock: createFakeClock(), log: memoryLog() })
    const file = join(dir, 'objects.db')
    using database = openObjectDatabase({ file, onCommit: watchStore(metrics, file) })
    const commits = async () =>
      valueOf(await readText(metrics), 'virtgate_store_transaction_duration_seconds_count')
    // Writes that wait at the same time share one.
    await Promise.all([database.write(() => {}), database.write(() => {})])
    expect(await commits()).toBe(1)
    await database.write(() => {})
    expect(await commits()).toBe(2)
    const refused = database.write(() => {
      throw new Error('no')
    })
    await expect(refused).rejects.toThrow('no')
    const text = await readText(metrics)
    const sizes = ['database', 'wal'].map((what) =>
      valueOf(text, 'virtgate_store_size_bytes', { file: what }),
    )
    expect(sizes).toEqual([(await stat(file)).size, (await stat(`${file}-wal`)).size])
    expect(valueOf(text, 'virtgate_store_transaction_duration_seconds_sum')).toBeGreaterThan(0)
  } finally {
    await rm(dir, { recursive: true })
  }
})
