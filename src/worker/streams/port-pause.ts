import type { Socket } from 'node:net'
import type { Clock } from '../../lib/clock.ts'

/**
 * How long a port is left unread at most. What a guest can print meanwhile has room in the socket between QEMU and us
 * (200 KiB): it neither waits nor loses anything.
 */
const PAUSE_MS = 10

/** Leaves a port unread for a moment, for readers that are quick but not as quick as what comes in one go. */
export class PortPause implements Disposable {
  readonly #clock: Clock
  readonly #waitedFor = new Set<object>()
  #port: Socket | undefined
  #timer: Disposable | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The port is not read until the reader has room again, or the moment is over. */
  waitFor(reader: object, port: Socket): void {
    this.#waitedFor.add(reader)
    if (this.#port) return
    this.#port = port
    port.pause()
    this.#timer = this.#clock.after(PAUSE_MS, () => this[Symbol.dispose]())
  }

  /** The reader has room again, or is gone. */
  goOn(reader: object): void {
    if (this.#waitedFor.delete(reader) && this.#waitedFor.size === 0) this[Symbol.dispose]()
  }

  /** The port is read again. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
    this.#port?.resume()
    this.#timer = undefined
    this.#port = undefined
    this.#waitedFor.clear()
  }
}
