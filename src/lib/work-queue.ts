import { backoffMs } from './backoff.ts'
import type { Backoff } from './backoff.ts'
import type { Clock } from './clock.ts'

/** What a queue does with its keys. */
export interface WorkQueueOptions {
  /** Keys worked on at the same time. */
  workers: number
  /** The work. Throwing brings the key back after a growing delay. `signal` aborts when the queue closes. */
  run(key: string, signal: AbortSignal): Promise<void>
  /** Told of every failure, and when the key is tried again. */
  onError(key: string, error: unknown, retryMs: number): void
  clock: Clock
  /** Delays after failures; 10 ms doubling to 30 s by default. */
  backoff?: Backoff
}

/** Keys to be worked on, each by one worker at a time. */
export interface WorkQueue extends AsyncDisposable {
  /** Asks for work on the key. Asking again before it has begun changes nothing; during it, it runs once more. */
  add(key: string): void
  /** The same, `delayMs` from now. Of several delays the shortest counts. */
  addAfter(key: string, delayMs: number): void
}

const DEFAULT_BACKOFF: Backoff = { baseMs: 10, maxMs: 30_000 }

/** Starts a queue. Closing it takes no new work, aborts what runs and waits for it. */
export function openWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new KeyedQueue(options)
}

class KeyedQueue implements WorkQueue {
  readonly #options: WorkQueueOptions
  readonly #waiting = new Set<string>()
  readonly #running = new Map<string, Promise<void>>()
  /** Asked for while running. */
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  readonly #timers = new Map<string, { dueMs: number; timer: Disposable }>()
  readonly #closing = new AbortController()

  constructor(options: WorkQueueOptions) {
    this.#options = options
  }

  add(key: string): void {
    if (this.#closing.signal.aborted) return
    if (this.#running.has(key)) this.#again.add(key)
    else this.#waiting.add(key)
    this.#startWork()
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#closing.signal.aborted) return
    if (delayMs <= 0) return this.add(key)
    const dueMs = this.#options.clock.now() + delayMs
    const present = this.#timers.get(key)
    if (present && present.dueMs <= dueMs) return
    present?.timer[Symbol.dispose]()
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(key)
      this.add(key)
    })
    this.#timers.set(key, { dueMs, timer })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const { timer } of this.#timers.values()) timer[Symbol.dispose]()
    this.#timers.clear()
    this.#waiting.clear()
    this.#again.clear()
    await Promise.all(this.#running.values())
  }

  #startWork(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.workers) return
      this.#waiting.delete(key)
      this.#running.set(key, this.#work(key))
    }
  }

  async #work(key: string): Promise<void> {
    // Leaves the caller's stack, so that `#running` holds the key before the work can end.
    await Promise.resolve()
    this.#again.delete(key)
    try {
      await this.#options.run(key, this.#closing.signal)
      this.#failures.delete(key)
    } catch (error) {
      this.#failed(key, error)
    }
    this.#running.delete(key)
    if (this.#again.delete(key)) this.#waiting.add(key)
    if (!this.#closing.signal.aborted) this.#startWork()
  }

  #failed(key: string, error: unknown): void {
    // Work that was told to stop has not failed.
    if (this.#closing.signal.aborted) return
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const retryMs = backoffMs(this.#options.backoff ?? DEFAULT_BACKOFF, failures)
    this.#options.onError(key, error, retryMs)
    this.addAfter(key, retryMs)
  }
}
