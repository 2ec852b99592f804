import type { Clock } from '../../lib/clock.ts'

/** Wakes one sleeper. A ring while nobody sleeps is not lost. */
export class Bell {
  #rung = false
  #wake: (() => void) | undefined
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lets whoever waits, or is the next to wait, go on. */
  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves at the next ring, after `limitMs`, or when `signal` aborts: look at the signal afterwards. */
  async wait(signal: AbortSignal, limitMs?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (!this.#rung && !signal.aborted) {
      const timer = limitMs === undefined ? undefined : this.#clock.after(limitMs, resolve)
      const stop = (): void => resolve()
      signal.addEventListener('abort', stop, { once: true })
      this.#wake = resolve
      await promise
      this.#wake = undefined
      timer?.[Symbol.dispose]()
      signal.removeEventListener('abort', stop)
    }
    this.#rung = false
  }
}
