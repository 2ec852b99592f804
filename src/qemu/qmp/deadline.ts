import { QmpTimeout } from './errors.ts'

/**
 * Calls `fail` once: with a `QmpTimeout` after `timeoutMs`, or with the reason of the first signal that aborts,
 * at once if one has already. Dispose of the answer when the wait is over.
 */
export function deadline(
  what: string,
  timeoutMs: number | undefined,
  signals: (AbortSignal | undefined)[],
  fail: (reason: unknown) => void,
): Disposable {
  const stop = new AbortController()
  const giveUp = (reason: unknown): void => {
    stop.abort()
    fail(reason)
  }
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => giveUp(new QmpTimeout(what, timeoutMs)), timeoutMs)
  stop.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  for (const signal of signals) {
    if (stop.signal.aborted) break
    if (signal?.aborted) giveUp(signal.reason)
    signal?.addEventListener('abort', () => giveUp(signal.reason), { once: true, signal: stop.signal })
  }
  return { [Symbol.dispose]: () => stop.abort() }
}
