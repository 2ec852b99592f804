/** Time, handed in so that a test can turn it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds since some moment, by a clock that nobody sets; `now` serves for it where absent. */
  monotonic?(): number
  /** Calls `run` once, `delayMs` from now. Disposing of the answer cancels it. */
  after(delayMs: number, run: () => void): Disposable
}

/** The longest delay Node's timers take; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(delayMs, 0), LONGEST_MS))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** For measuring how long ago something was, whatever happens to the time of day. */
export function monotonicMs(clock: Pick<Clock, 'now' | 'monotonic'>): number {
  return clock.monotonic?.() ?? clock.now()
}

/** The clock's time as Kubernetes writes it: RFC 3339 in UTC, whole seconds. */
export function timestamp(clock: Pick<Clock, 'now'>): string {
  return formatTime(clock.now())
}

/** Milliseconds since 1970 as RFC 3339 in UTC, whole seconds. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** Resolves after `delayMs`, or as soon as `signal` aborts: look at the signal afterwards. */
export async function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  using _timer = clock.after(delayMs, resolve)
  const stop = (): void => resolve()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
