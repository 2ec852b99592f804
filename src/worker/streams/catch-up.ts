import { wait, type Clock } from '../../lib/clock.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import type { ConsoleLog, LogCursor } from './console-log.ts'

/** What the guest prints, as one who is behind sees it. */
export interface LiveOutput {
  readonly log: ConsoleLog | undefined
  /** Place in the log behind the last byte that has come; `undefined` where it is not known (any more). */
  readonly end: number | undefined
  /** Holds the end of the log against the last bytes that have come: where they differ, their place is not known. */
  check(logEnd: Buffer): boolean
  readonly clock: Clock
}

/** What one who is behind is read for. */
export interface CatchUpParts {
  output: LiveOutput
  /** The first byte that was not had. */
  position: number
  /** Takes bytes; answers whether more are wanted at once. Otherwise `wake` is called when they are. */
  push: (bytes: Buffer) => boolean
  /** All was pushed that has come so far: what comes next is to be pushed as it comes. */
  onLive: () => void
  /** Nothing more will be pushed: all was, or that is not possible. */
  onEnd: (error?: Error) => void
}

/** QEMU writes to the log just after it has written to us; on a busy host it may take its time. */
const RETRY_MS = 5
const RETRIES = 1_000

/** Reads for a session what it has missed, from the log and as fast as the session takes it. */
export class CatchUp implements Disposable {
  readonly #parts: CatchUpParts
  readonly #cursor: LogCursor
  readonly #stop = new AbortController()
  /** What comes next is read while its reader is busy with what came before. */
  #ahead: Promise<Buffer> | undefined
  /** Nothing comes from here on, as the port is gone. */
  #end: number | undefined
  #isWanted = false
  #isBusy = false

  constructor(parts: CatchUpParts) {
    this.#parts = parts
    // Nobody falls behind who has no log to read from.
    this.#cursor = parts.output.log!.read(parts.position)
  }

  /** More is wanted. */
  wake(): void {
    this.#isWanted = true
    if (!this.#isBusy && !this.#stop.signal.aborted) void this.#run()
  }

  /** The port is gone: all before `end` is still read, and then it is over. Not known: it is over now. */
  finish(end: number | undefined): void {
    if (end === undefined) this.#over(new StreamEnded('behind'))
    else this.#end = end
    // Where all was pushed already, nobody asks for more.
    if (end !== undefined && !this.#isBusy && !this.#ahead && this.#cursor.position >= end) this.#over()
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
    // Closes its file once nothing reads from it; it does not fail.
    void this.#cursor[Symbol.asyncDispose]()
  }

  async #run(): Promise<void> {
    this.#isBusy = true
    try {
      while (this.#isWanted && !this.#stop.signal.aborted) await this.#step()
    } catch (error) {
      this.#over(error instanceof StreamEnded ? error : new StreamEnded('behind'))
    } finally {
      this.#isBusy = false
    }
  }

  async #step(): Promise<void> {
    const { output, push, onLive } = this.#parts
    const bytes = await (this.#ahead ?? this.#next())
    this.#ahead = undefined
    if (this.#stop.signal.aborted) return
    // From here on nothing else runs until this is done.
    const end = this.#end ?? output.end
    const isAll = this.#cursor.position === end
    if (isAll && this.#end === undefined && !output.check(bytes)) throw new StreamEnded('behind')
    this.#isWanted = bytes.length === 0 || push(bytes)
    if (!isAll) return this.#readAhead()
    if (this.#end !== undefined) return this.#over()
    onLive()
    this[Symbol.dispose]()
  }

  #readAhead(): void {
    this.#ahead = this.#next()
    // Told to whoever wants it.
    this.#ahead.catch(() => {})
  }

  /** The next bytes. Throws `StreamEnded` where they cannot be had. */
  async #next(): Promise<Buffer> {
    for (let tries = 0; ; tries += 1) {
      const end = this.#end ?? this.#parts.output.end
      if (end === undefined) throw new StreamEnded('behind')
      const bytes = await this.#cursor.read(end)
      if (bytes.length > 0 || this.#cursor.position === end || this.#stop.signal.aborted) return bytes
      if (tries >= RETRIES) throw new StreamEnded('behind')
      await wait(this.#parts.output.clock, RETRY_MS, this.#stop.signal)
    }
  }

  #over(error?: Error): void {
    if (this.#stop.signal.aborted) return
    this[Symbol.dispose]()
    this.#parts.onEnd(error)
  }
}
