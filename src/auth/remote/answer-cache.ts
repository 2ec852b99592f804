import type { Clock } from '../../lib/clock.ts'

/** Answers that are given again for a short time. */
export interface AnswerCache<T> {
  /** The answer to `key`, asked for where there is none that is young enough. A failure is not remembered. */
  get(key: string, ask: () => Promise<T>): Promise<T>
}

/** Answers are good for this long at most (security.md, B4). */
const LIFE_MS = 10_000
/** Answers kept; the oldest goes first. */
const MOST = 4096

/** A cache of at most 4096 answers, each for at most 10 s. */
export function buildAnswerCache<T>(clock: Pick<Clock, 'now'>, most = MOST): AnswerCache<T> {
  const answers = new Map<string, { value: T; since: number }>()
  return {
    async get(key, ask) {
      const since = clock.now()
      const known = answers.get(key)
      // A clock that was set back must not make an answer last.
      if (known && since >= known.since && since - known.since < LIFE_MS) return known.value
      const value = await ask()
      answers.delete(key)
      answers.set(key, { value, since })
      for (const oldest of answers.keys()) {
        if (answers.size <= most) break
        answers.delete(oldest)
      }
      return value
    },
  }
}
