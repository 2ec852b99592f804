import type { Clock } from './clock.ts'

/** How many failures one source may cause. */
export interface FailureLimitOptions {
  /** Failures of one source within a window before it has to wait. */
  most: number
  windowMs: number
  /** Sources that are remembered; the oldest goes first. */
  sources?: number
  clock: Pick<Clock, 'now'>
}

/** Counts failures by their source. */
export interface FailureLimit {
  /** Milliseconds that the source has to wait; 0 where it may try. */
  waitMs(source: string): number
  fail(source: string): void
}

const SOURCES = 4096

/** Opens a limit: so many failures a window, then nothing until the window is over. */
export function buildFailureLimit({
  most,
  windowMs,
  sources = SOURCES,
  clock,
}: FailureLimitOptions): FailureLimit {
  const windows = new Map<string, { since: number; failures: number }>()
  const current = (source: string) => {
    const window = windows.get(source)
    const age = window ? clock.now() - window.since : windowMs
    // A clock that was set back must not make a window last.
    return age >= 0 && age < windowMs ? window : undefined
  }
  return {
    waitMs(source) {
      const window = current(source)
      return window && window.failures >= most ? window.since + windowMs - clock.now() : 0
    },
    fail(source) {
      const window = current(source) ?? { since: clock.now(), failures: 0 }
      windows.delete(source)
      windows.set(source, { ...window, failures: window.failures + 1 })
      for (const oldest of windows.keys()) {
        if (windows.size <= sources) break
        windows.delete(oldest)
      }
    },
  }
}
