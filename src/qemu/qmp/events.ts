import { deadline } from './deadline.ts'
import type { QmpClosed } from './errors.ts'

/** Something that happened in QEMU. Source: contract 2.2. */
export interface QmpEvent {
  /** Such as `STOP`, `SHUTDOWN` or `DEVICE_DELETED`. */
  event: string
  data: Record<string, unknown>
  timestamp: { seconds: number; microseconds: number }
}

/** How long to wait, and what ends the waiting. */
export interface WaitOptions {
  timeoutMs?: number
  signal?: AbortSignal
}

type Listener = (event: QmpEvent) => void

/** What QEMU tells unasked. Nothing is told again after a reconnect: ask for the state then. */
export class QmpEvents {
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #closing = new AbortController()

  /** Calls `listener` with each event of that name, or with all where the name is `*`. Answers how to stop it. */
  on(name: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  /** As `on`, for the first one only. */
  once(name: string, listener: Listener): () => void {
    const off = this.on(name, (event) => {
      off()
      listener(event)
    })
    return off
  }

  /**
   * The next event of that name that `matches`. Begin to wait before the command that causes it is sent.
   *
   * Throws `QmpTimeout` after `timeoutMs` (never where absent), `QmpClosed` where the connection ends, and the
   * reason of `signal` where that aborts.
   */
  async waitFor(
    name: string,
    matches: (event: QmpEvent) => boolean = () => true,
    { timeoutMs, signal }: WaitOptions = {},
  ): Promise<QmpEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>()
    using _limit = deadline(`event ${name}`, timeoutMs, [signal, this.#closing.signal], reject)
    const off = this.on(name, (event) => {
      if (matches(event)) resolve(event)
    })
    try {
      return await promise
    } finally {
      off()
    }
  }

  /** For the client: hands an event to its listeners. What one of them throws does not reach the others. */
  emit(event: QmpEvent): void {
    for (const name of [event.event, '*']) {
      for (const listener of this.#listeners.get(name) ?? []) queueMicrotask(() => listener(event))
    }
  }

  /** For the client: ends all waiting. */
  close(reason: QmpClosed): void {
    this.#closing.abort(reason)
    this.#listeners.clear()
  }
}
