import type { Clock } from '../../lib/clock.ts'

/** A question that could wait has been given up for one that cannot. */
export class GaveWay extends Error {
  constructor() {
    super('something more urgent is asked of the guest agent')
    this.name = 'GaveWay'
  }
}

/** What a question that could wait may take while an urgent one does. */
const PATIENCE_MS = 500

/**
 * The way to one guest's agent, for one at a time: QEMU serves a single client, and the agent answers in the order in
 * which it was asked. What people ask for comes first: polling gives way to it.
 */
export class AgentLane {
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()
  #idle: AbortController | undefined
  #urgent = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `task` after all urgent ones before it. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    this.#urgent += 1
    using _patience = this.#clock.after(PATIENCE_MS, () => this.#idle?.abort(new GaveWay()))
    try {
      return await this.#enter(task)
    } finally {
      this.#urgent -= 1
    }
  }

  /**
   * Runs `task` if nothing urgent waits. Its signal aborts when it takes long and something urgent comes. Throws
   * `GaveWay` where it was not its time, and the reason of the signal.
   */
  async runIdle<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#enter(async () => {
      if (this.#urgent > 0) throw new GaveWay()
      const idle = new AbortController()
      this.#idle = idle
      try {
        return await task(idle.signal)
      } finally {
        this.#idle = undefined
      }
    })
  }

  async #enter<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task)
    // What went wrong is told to whoever asked, and to nobody after.
    this.#last = mine.catch(() => {})
    return mine
  }
}
