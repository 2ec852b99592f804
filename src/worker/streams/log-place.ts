import type { Clock } from '../../lib/clock.ts'
import type { ConsoleLog } from './console-log.ts'

/** Bytes that are remembered, to be looked for in the log. */
const TAIL_BYTES = 256
/** Between looks at the log; the guest has to be silent for so long. */
const FIRST_LOOK_MS = 50
const LAST_LOOK_MS = 1_000

/**
 * Knows where in the log stands what comes from the serial port. QEMU writes the same bytes to both, to the port first;
 * to the log also while nobody is connected. So where a guest prints while we connect, the place is not known until it
 * is silent for a moment: then the log ends with what has come last.
 */
export class LogPlace {
  readonly #clock: Clock
  readonly #log: ConsoleLog | undefined
  /** Place of the first byte that has come since we are connected. */
  #origin: number | undefined
  #received = 0
  #tail: Buffer = Buffer.alloc(0)
  #look: Disposable | undefined
  #connection = 0

  constructor(clock: Clock, log: ConsoleLog | undefined) {
    this.#clock = clock
    this.#log = log
    if (log) log.onReset = () => this.#forget()
  }

  /** The place behind the last byte that has come, where it is known. */
  get end(): number | undefined {
    return this.#origin === undefined ? undefined : this.#origin + this.#received
  }

  /**
   * Holds bytes from the end of the log against the last that have come, as far as these are remembered. Where they differ
   * the place is not known any more: the disk was full, or somebody else has written to the log.
   */
  check(logEnd: Buffer): boolean {
    const length = Math.min(logEnd.length, this.#tail.length)
    const isSame = logEnd
      .subarray(logEnd.length - length)
      .equals(this.#tail.subarray(this.#tail.length - length))
    if (!isSame) this.#forget()
    return isSame
  }

  /** The port was connected. */
  begin(): void {
    this.lose()
    this.#forget()
  }

  /** The port is not connected any more. */
  lose(): void {
    this.#connection += 1
    this.#look?.[Symbol.dispose]()
    this.#look = undefined
    this.#origin = undefined
    this.#received = 0
    this.#tail = Buffer.alloc(0)
  }

  /** These have come. */
  took(bytes: Buffer): void {
    this.#received += bytes.length
    const tail = bytes.length >= TAIL_BYTES ? bytes : Buffer.concat([this.#tail, bytes])
    // A copy: the rest of what it is a part of is not to be kept.
    this.#tail = Buffer.from(tail.subarray(-TAIL_BYTES))
  }

  /** Nothing is under way: the log ends with what has come. Throws the system's error. */
  async settle(): Promise<void> {
    const connection = this.#connection
    const received = this.#received
    const size = await this.#log?.size()
    if (size === undefined || connection !== this.#connection || received !== this.#received) return
    this.#found(size)
  }

  #found(size: number): void {
    this.#origin = size - this.#received
    this.#look?.[Symbol.dispose]()
    this.#look = undefined
  }

  #forget(): void {
    this.#origin = undefined
    this.#lookLater({ received: -1, size: -1 }, FIRST_LOOK_MS)
  }

  #lookLater(before: { received: number; size: number }, delayMs: number): void {
    if (!this.#log) return
    const connection = this.#connection
    this.#look?.[Symbol.dispose]()
    this.#look = this.#clock.after(delayMs, () => {
      const again = (now: typeof before): void => {
        if (connection !== this.#connection || this.#origin !== undefined) return
        this.#lookLater(now, Math.min(delayMs * 2, LAST_LOOK_MS))
      }
      // A file that cannot be read now may be later; whoever is behind until then is ended.
      this.#lookNow(before, connection).then(again, () => again(before))
    })
  }

  async #lookNow(before: { received: number; size: number }, connection: number) {
    const log = this.#log
    const received = this.#received
    const size = (await log?.size()) ?? 0
    if (!log || connection !== this.#connection) return { received, size }
    // Until the place is known, times are as good as the looks are.
    if (before.size >= 0 && size > before.size) log.mark(before.size)
    const isSilent = before.received === received && before.size === size
    if (!isSilent || !(await this.#isTailAt(log, size))) return { received, size }
    if (connection === this.#connection && received === this.#received) this.#found(size)
    return { received, size }
  }

  async #isTailAt(log: ConsoleLog, size: number): Promise<boolean> {
    const tail = this.#tail
    if (tail.length > size - log.floor) return false
    await using cursor = log.read(size - tail.length)
    return (await cursor.read(size)).equals(tail)
  }
}
