import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../src/lib/clock.ts'

/** Time that moves only when told to. */
export interface FakeClock extends Clock {
  /** Moves time on and calls what falls due, in order. */
  advance(ms: number): void
  /** Timers that wait. */
  pending(): number
}

/** A clock that stands at `startMs`. */
export function createFakeClock(startMs = Date.parse('2026-01-01T00:00:00Z')): FakeClock {
  let nowMs = startMs
  const timers = new Set<{ dueMs: number; run: () => void }>()
  function due(untilMs: number) {
    return [...timers].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0]
  }
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { dueMs: nowMs + delayMs, run }
      timers.add(timer)
      return { [Symbol.dispose]: () => void timers.delete(timer) }
    },
    advance(ms) {
      const untilMs = nowMs + ms
      for (let timer = due(untilMs); timer; timer = due(untilMs)) {
        timers.delete(timer)
        nowMs = Math.max(nowMs, timer.dueMs)
        timer.run()
      }
      nowMs = untilMs
    },
    pending: () => timers.size,
  }
}

/** Lets work go on until `holds` answers something; fails after a few thousand turns of the event loop. */
export async function turnUntil<T>(
  holds: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (let turn = 0; turn < 3000; turn++) {
    const found = await holds()
    if (found !== undefined && found !== false) return found
    await setImmediate()
  }
  throw new Error('waited in vain')
}

/** Lets work go on for some turns of the event loop, to see that something does not happen. */
export async function turn(times = 60): Promise<void> {
  for (let i = 0; i < times; i++) await setImmediate()
}
