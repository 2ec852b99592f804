import { setTimeout as delay } from 'node:timers/promises'

/** Waits that long; ends early, with an error, when `signal` aborts. Handed in, so that tests do not wait. */
export type Sleep = (ms: number, signal: AbortSignal | undefined) => Promise<void>

/** Something that may well work a moment later. Its cause is what gets thrown when it never does. */
export class Transient extends Error {
  override readonly name = 'Transient'
  override readonly cause: Error
  /** How long the other side wants to be left alone. */
  readonly afterMs: number | undefined

  constructor(cause: Error, afterMs?: number) {
    super(cause.message)
    this.cause = cause
    this.afterMs = afterMs
  }
}

const ATTEMPTS = 5
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000

/** Sleeps by the clock. */
export const sleep: Sleep = async (ms, signal) => delay(ms, undefined, signal && { signal })

/** How `withRetries` waits and gives up. */
export interface RetryOptions {
  sleep: Sleep
  signal?: AbortSignal | undefined
  /** Called before each wait. */
  onRetry?: (error: Error, waitMs: number) => void
}

/** Runs `attempt` up to five times while it throws `Transient`, with longer and longer pauses. */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Transient)) throw error
      if (tries === ATTEMPTS) throw error.cause
      const waitMs = Math.min(error.afterMs ?? FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS)
      options.onRetry?.(error.cause, waitMs)
      await options.sleep(waitMs, options.signal)
    }
  }
}
