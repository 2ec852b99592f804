import { expect, test } from 'vitest'
import { watchEventLoop } from '../../src/metrics/event-loop.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { memoryLog } from '../helpers/api.ts'
import { readText, valueOf } from '../helpers/exposition.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'

test('a process is measured while somebody scrapes, and runs no timer where nobody does', async () => {
  const clock = createFakeClock()
  // A process that is busy for 300 ms whenever its timer is due.
  let lateMs = 0
  const loop = {
    now: () => clock.now() + lateMs,
    after: (delayMs: number, run: () => void) => void clock.after(delayMs, run),
  }
  const metrics = openMetrics({ clock: createFakeClock(), log: memoryLog() })
  watchEventLoop(metrics, loop)
  expect(clock.pending()).toBe(0)
  await readText(metrics)
  await readText(metrics)
  expect(clock.pending()).toBe(1)
  clock.advance(10_000)
  lateMs = 300
  clock.advance(500)
  const name = 'virtgate_event_loop_delay_seconds'
  const text = await readText(metrics)
  expect(valueOf(text, `${name}_count`)).toBe(21)
  expect(valueOf(text, `${name}_sum`)).toBeCloseTo(0.3, 5)
  expect([
    valueOf(text, `${name}_bucket`, { le: '0.25' }),
    valueOf(text, `${name}_bucket`, { le: '0.5' }),
  ]).toEqual([20, 21])
  clock.advance(10 * 60_000)
  expect(clock.pending()).toBe(0)
  await readText(metrics)
  expect(clock.pending()).toBe(1)
})
