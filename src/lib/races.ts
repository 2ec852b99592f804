import { hasReason } from './errors.ts'

const TRIES = 10

/**
 * Runs `attempt`, which reads an object, changes it and writes it back, again as long as it fails with one of these reasons:
 * somebody else was faster. Ten times at most, at once: each time somebody has got on. Throws what it throws the last time.
 */
export async function retryRaces<T>(reasons: readonly string[], attempt: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left <= 1 || !hasReason(error, ...reasons)) throw error
    }
  }
}
