import type { Clock } from '../../lib/clock.ts'

/** Answers that are given again for a short time, and questions that are asked once for all who ask at the same time. */
export interface AnswerCache<T> {
  /**
   * The answer to `key`, asked for where there is none that is young enough. Those who ask while it is being asked wait
   * for the same answer; the asking is given up once the `signal` of all of them has aborted. A failure is not remembered.
   */
  get(key: string, ask: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>
}

/** How answers are kept. */
export interface AnswerCacheOptions<T> {
  clock: Pick<Clock, 'now'>
  /** How long an answer is good, in milliseconds; 10 s where absent: no longer, ever (security.md, B4). */
  lifeMs?: (answer: T) => number
  /** Told of each question: its answer was there, somebody else was waiting for it, or it is asked. */
  wanted?: ((result: 'hit' | 'joined' | 'miss') => void) | undefined
  /** Answers kept; the oldest goes first. 4096 where absent. */
  most?: number
}

const LIFE_MS = 10_000
const MOST = 4096

interface Answer<T> {
  value: T
  /** When it was asked for. */
  since: number
  lifeMs: number
}

/** Opens a cache. */
export function buildAnswerCache<T>({
  clock,
  lifeMs = () => LIFE_MS,
  most = MOST,
  wanted,
}: AnswerCacheOptions<T>): AnswerCache<T> {
  const answers = new Map<string, Answer<T>>()
  const questions = new Map<string, Question<T>>()

  function keep(key: string, answer: Answer<T>): void {
    answers.delete(key)
    answers.set(key, answer)
    for (const oldest of answers.keys()) {
      if (answers.size <= most) break
      answers.delete(oldest)
    }
  }

  function open(key: string, ask: (signal: AbortSignal) => Promise<T>): Question<T> {
    const since = clock.now()
    const question: Question<T> = new Question(ask, () => {
      if (questions.get(key) === question) questions.delete(key)
    })
    questions.set(key, question)
    question.answer.then(
      (value) => keep(key, { value, since, lifeMs: Math.min(lifeMs(value), LIFE_MS) }),
      // Whoever asked is told.
      () => {},
    )
    return question
  }

  return {
    async get(key, ask, signal) {
      signal?.throwIfAborted()
      const now = clock.now()
      const known = answers.get(key)
      // A clock that was set back must not make an answer last.
      if (known && now >= known.since && now - known.since < known.lifeMs) {
        wanted?.('hit')
        return known.value
      }
      const question = questions.get(key)
      wanted?.(question ? 'joined' : 'miss')
      return (question ?? open(key, ask)).wait(signal)
    },
  }
}

/** One question that is being asked, and all who wait for its answer. */
class Question<T> {
  readonly answer: Promise<T>
  readonly #stop = new AbortController()
  readonly #end: () => void
  #waiting = 0
  #isOver = false

  /** `end` is called once nobody can join any more. */
  constructor(ask: (signal: AbortSignal) => Promise<T>, end: () => void) {
    this.#end = end
    this.answer = ask(this.#stop.signal).finally(() => this.#finish())
  }

  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1
    const { promise, reject } = Promise.withResolvers<never>()
    // An AbortSignal is aborted with an error, unless somebody gave another reason.
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what the caller gave is what they get.
    const leave = (): void => reject(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await Promise.race([this.answer, promise])
    } finally {
      signal?.removeEventListener('abort', leave)
      this.#waiting -= 1
      if (this.#waiting === 0) this.#giveUp()
    }
  }

  /** Nobody waits any more. */
  #giveUp(): void {
    if (this.#isOver) return
    this.#finish()
    this.#stop.abort()
  }

  #finish(): void {
    this.#isOver = true
    this.#end()
  }
}
