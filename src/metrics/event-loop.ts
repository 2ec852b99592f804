/** How late the process is. Source: contract metrics.md, section 9.8. */
import type { Metrics } from './exposition.ts'

/** Twice a second: what holds up an answer for longer is seen, and a processor hardly wakes for it. */
const EVERY_MS = 500
/** A process that nobody scrapes any more runs no timer. */
const UNTIL_MS = 5 * 60_000

/** Time, and timers that keep no process running. */
export interface LoopClock {
  /** Milliseconds, by a clock that nobody sets. */
  now(): number
  after(delayMs: number, run: () => void): void
}

const systemLoop: LoopClock = {
  now: () => performance.now(),
  after: (delayMs, run) => void setTimeout(run, delayMs).unref(),
}

/** Measures from the first scrape on, and for as long as there are more of them. */
export function watchEventLoop(metrics: Metrics, clock: LoopClock = systemLoop): void {
  const delays = metrics.histogram('virtgate_event_loop_delay_seconds')
  let scrapedAtMs = 0
  let isRunning = false
  const next = (): void => {
    const dueMs = clock.now() + EVERY_MS
    clock.after(EVERY_MS, () => {
      delays.observe({}, Math.max(0, clock.now() - dueMs) / 1000)
      isRunning = clock.now() - scrapedAtMs < UNTIL_MS
      if (isRunning) next()
    })
  }
  metrics.add({
    source: 'event loop',
    collect() {
      scrapedAtMs = clock.now()
      if (!isRunning) next()
      isRunning = true
      return []
    },
  })
}
