import { tooManyRequests } from '../../lib/errors.ts'

/** Calls that may wait for one guest. Source: contract 6.4. */
const QUEUE_LIMIT = 16
const RETRY_SECONDS = 1

/** One thing at a time, in the order in which it was asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Runs `task` after all that came before; what these threw does not matter. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task)
    this.#last = mine.catch(() => {})
    return mine
  }

  /** As `run`, for calls from outside. Throws 429 where too many wait already. */
  async call<T>(task: () => Promise<T>): Promise<T> {
    if (this.#waiting >= QUEUE_LIMIT)
      throw tooManyRequests('too many calls wait for this guest', RETRY_SECONDS)
    this.#waiting += 1
    try {
      return await this.run(task)
    } finally {
      this.#waiting -= 1
    }
  }
}
