import { backoffMs } from './backoff.ts'
import type { Backoff } from './backoff.ts'
import { monotonicMs, type Clock } from './clock.ts'

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
  /** Begins to watch the queue, which says what it has to do whenever it is asked; ends when the queue closes. */
  watch?: ((load: () => QueueLoad) => QueueWatcher) | undefined
}

/** What a queue has to do at one moment. */
export interface QueueLoad {
  /** Keys whose work has not begun. */
  waiting: number
  /** How long each that is worked on has been, in milliseconds. */
  runningMs: number[]
}

/** Told of what a queue does. */
export interface QueueWatcher extends Disposable {
  added(): void
  retried(): void
  /** Work has begun on a key that waited so long. */
  started(waitedMs: number): void
  ended(tookMs: number): void
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
  /** Since when, by `monotonicMs`. */
  readonly #waiting = new Map<string, number>()
  readonly #running = new Map<string, { sinceMs: number; work: Promise<void> }>()
  /** Asked for while running, since when. */
  readonly #again = new Map<string, number>()
  readonly #failures = new Map<string, number>()
  readonly #timers = new Map<string, { dueMs: number; timer: Disposable }>()
  readonly #closing = new AbortController()
  readonly #watcher: QueueWatcher | undefined

  constructor(options: WorkQueueOptions) {
    this.#options = options
    this.#watcher = options.watch?.(() => this.#load())
  }

  add(key: string): void {
    if (this.#closing.signal.aborted) return
    const asked = this.#running.has(key) ? this.#again : this.#waiting
    if (!asked.has(key)) {
      asked.set(key, this.#nowMs())
      this.#watcher?.added()
    }
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
    await Promise.all([...this.#running.values()].map(({ work }) => work))
    this.#watcher?.[Symbol.dispose]()
  }

  #nowMs(): number {
    return monotonicMs(this.#options.clock)
  }

  #load(): QueueLoad {
    const nowMs = this.#nowMs()
    const runningMs = [...this.#running.values()].map(({ sinceMs }) => nowMs - sinceMs)
    return { waiting: this.#waiting.size + this.#again.size, runningMs }
  }

  #startWork(): void {
    for (const [key, askedMs] of this.#waiting) {
      if (this.#running.size >= this.#options.workers) return
      this.#waiting.delete(key)
      const sinceMs = this.#nowMs()
      this.#watcher?.started(sinceMs - askedMs)
      this.#running.set(key, { sinceMs, work: this.#work(key, sinceMs) })
    }
  }

  async #work(key: string, sinceMs: number): Promise<void> {
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
    this.#watcher?.ended(this.#nowMs() - sinceMs)
    const againMs = this.#again.get(key)
    if (this.#again.delete(key)) this.#waiting.set(key, againMs ?? this.#nowMs())
    if (!this.#closing.signal.aborted) this.#startWork()
  }

  #failed(key: string, error: unknown): void {
    // Work that was told to stop has not failed.
    if (this.#closing.signal.aborted) return
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    this.#watcher?.retried()
    const retryMs = backoffMs(this.#options.backoff ?? DEFAULT_BACKOFF, failures)
    this.#options.onError(key, error, retryMs)
    this.addAfter(key, retryMs)
  }
}
