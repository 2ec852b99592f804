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
  // There is one for each command: an AbortController of its own would cost more than the command.
  const undo: (() => void)[] = []
  const end = (): void => undo.splice(0).forEach((one) => one())
  const giveUp = (reason: unknown): void => {
    end()
    fail(reason)
  }
  for (const signal of signals) {
    if (!signal) continue
    if (signal.aborted) {
      giveUp(signal.reason)
      return { [Symbol.dispose]() {} }
    }
    const leave = (): void => giveUp(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    undo.push(() => signal.removeEventListener('abort', leave))
  }
  if (timeoutMs !== undefined) {
    const timer = setTimeout(() => giveUp(new QmpTimeout(what, timeoutMs)), timeoutMs)
    undo.push(() => clearTimeout(timer))
  }
  return { [Symbol.dispose]: end }
}
