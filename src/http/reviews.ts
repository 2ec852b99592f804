import { wait, type Clock } from '../lib/clock.ts'
import { StatusError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'

/** Why something long is ended: its user may no longer, or nobody can tell. */
export type LostRight = 'denied' | 'unknown'

/** What is asked again and again while something long goes on. */
export interface Reviews {
  /** Throws a `StatusError` 401 or 403 once the user may no longer; anything else: it could not be found out. */
  review: (signal: AbortSignal) => Promise<void>
  /** How often, in milliseconds. Source: security B5. */
  everyMs: number
  clock: Clock
  log: Log
}

/** How rights that could not be checked are asked for again, and how often before it ends. */
const RETRY_MS = 30_000
const RETRIES = 3

/** Resolves once the right is lost, or with `undefined` once `signal` aborts. */
export async function watchRight(
  { review, everyMs, clock, log }: Reviews,
  signal: AbortSignal,
): Promise<LostRight | undefined> {
  let failures = 0
  for (;;) {
    await wait(clock, failures > 0 ? RETRY_MS : everyMs, signal)
    if (signal.aborted) return undefined
    try {
      await review(signal)
      failures = 0
    } catch (error) {
      if (signal.aborted) return undefined
      if (isDenial(error)) return 'denied'
      failures += 1
      if (failures > RETRIES) {
        log.warn({ err: error }, 'rights of an open stream could not be checked')
        return 'unknown'
      }
    }
  }
}

function isDenial(error: unknown): boolean {
  return error instanceof StatusError && (error.code === 401 || error.code === 403)
}
