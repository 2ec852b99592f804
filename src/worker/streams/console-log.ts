import { open, stat, truncate, type FileHandle } from 'node:fs/promises'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import { unlessMissing } from '../files/errno.ts'
import { LogIndex, type LogMark } from './log-index.ts'
import { punchHead } from './punch.ts'

/** What a console log is made of. */
export interface ConsoleLogParts {
  /** The file that QEMU appends to; its index stands beside it. */
  file: string
  clock: Clock
  log: Log
  /** Those of `LOG_LIMITS` where absent. */
  limits?: LogLimits
  /** Makes a hole of so many bytes at the head of a file; answers why that is not possible. */
  punch?: (file: string, bytes: number) => Promise<string | undefined>
}

/** Bytes of a log that are kept. */
export interface LogLimits {
  /** For whoever asks later. */
  keep: number
  /** By how many it grows before its head is cut off. */
  step: number
  /** At most, for a reader that is slow. */
  most: number
  /** Milliseconds between cuts, each of which forks a process; at half of `most` it is cut all the same. */
  everyMs: number
}

const MIB = 1024 * 1024
/** What is kept of a guest's log. Source: contract 3.4; `most` has room for the slowest reader of 64 MiB. */
export const LOG_LIMITS: LogLimits = { keep: 4 * MIB, step: 2 * MIB, most: 128 * MIB, everyMs: 1000 }
const READ_BYTES = 64 * 1024
const BLOCK = 4096

/**
 * All that a guest has printed at its serial port, as far as it is kept. QEMU appends to the file whether we are there
 * or not. Places in it are counted from the first byte the guest ever printed. Of a log that grows the head is cut off by
 * punching a hole, which moves nothing and which QEMU does not notice; what a reader has still to read is spared up to
 * a limit.
 */
export class ConsoleLog implements AsyncDisposable {
  readonly #parts: ConsoleLogParts
  readonly #index: LogIndex
  readonly #cursors = new Set<LogCursor>()
  readonly #ending = new AbortController()
  #opened: Promise<void> | undefined
  #base = 0
  #floor = 0
  /** How much it may have grown since it was last looked at; the worker may just have started. */
  #grown: number
  #cutAtMs = 0
  readonly #limits: LogLimits
  #tidying: Promise<void> | undefined
  #isClosed = false
  #isInTrouble = false
  #canPunch = true
  readonly #listeners = new Set<() => void>()
  /** Called after the file was emptied, where no hole can be punched: places in it are no longer what they were. */
  onReset: () => void = () => {}

  constructor(parts: ConsoleLogParts) {
    this.#parts = parts
    this.#limits = parts.limits ?? LOG_LIMITS
    this.#grown = this.#limits.step
    this.#index = new LogIndex(`${parts.file.replace(/\.log$/, '')}.index`, parts.clock)
  }

  /** Aborts when nothing more will come, or nobody is to wait for it: with the `StreamEnded` for those who read. */
  get ending(): AbortSignal {
    return this.#ending.signal
  }

  /** The first place that is still kept. */
  get floor(): number {
    return this.#floor
  }

  /** Where the file ends now. Throws the system's error. */
  async size(): Promise<number> {
    await this.#open()
    const found = await unlessMissing(stat(this.#parts.file))
    return this.#base + (found?.size ?? 0)
  }

  /** The newest mark that was made since the worker has started. */
  get lastMark(): LogMark | undefined {
    return this.#index.last
  }

  /** When which part came. Throws the system's error. */
  async marks(): Promise<LogMark[]> {
    await this.#index.save()
    return (await this.#index.load()).marks
  }

  /** Reads from there on. What it has still to read is kept for it; it has to be disposed of. */
  read(position: number): LogCursor {
    const cursor = new LogCursor({ position, log: this, handle: this.#openFile() })
    this.#cursors.add(cursor)
    return cursor
  }

  /** @internal A cursor needs nothing any more. */
  release(cursor: LogCursor): void {
    this.#cursors.delete(cursor)
  }

  /** The guest has printed so many bytes; `position` is the place of the first, where that is known. */
  grew(bytes: number, position: number | undefined): void {
    if (position !== undefined) this.#index.mark(position)
    this.#grown += bytes
    for (const listener of this.#listeners) listener()
    if (!this.#isClosed && this.#isUntidy) this.#tidying ??= this.#keepTidy()
  }

  /** What stands at `position` and behind came now, or at `timeMs`. */
  mark(position: number, timeMs?: number): void {
    this.#index.mark(position, timeMs)
  }

  /** Calls `listener` whenever the guest prints; what it prints may be in the file a moment later. */
  onMore(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Nothing more will come. */
  finish(): void {
    this.#ending.abort()
  }

  /** This process is about to end. */
  drain(): void {
    this.#ending.abort(new StreamEnded('draining'))
  }

  /** Nothing more will come, and nothing is written any more. Whoever reads reads on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.finish()
    this.#isClosed = true
    await this.#tidying
  }

  async #openFile(): Promise<OpenFile> {
    await this.#open()
    return { handle: await unlessMissing(open(this.#parts.file, 'r')), base: this.#base }
  }

  async #open(): Promise<void> {
    this.#opened ??= this.#load()
    return this.#opened
  }

  async #load(): Promise<void> {
    const { base, floor, marks } = await this.#index.load()
    const found = await unlessMissing(stat(this.#parts.file))
    const end = base + (found?.size ?? 0)
    // A log that is shorter than what was cut off is another one.
    if (end < floor) return this.#index.rewrite(0, 0)
    this.#base = base
    this.#floor = floor
    const last = marks.at(-1)
    // What came while no worker was there came by the time at which the file was last written.
    if (last && found && end > last.position) this.#index.mark(last.position + 1, Math.floor(found.mtimeMs))
  }

  get #isUntidy(): boolean {
    return this.#grown >= this.#limits.step || this.#index.isDirty
  }

  async #keepTidy(): Promise<void> {
    const { log, file } = this.#parts
    try {
      // It may grow meanwhile.
      while (this.#isUntidy) await this.#tidy()
      this.#isInTrouble = false
    } catch (error) {
      // A disk that is full stays so for a while: said once.
      if (!this.#isInTrouble) log.warn({ err: error, file }, 'cannot keep a console log in order')
      this.#isInTrouble = true
    }
    this.#tidying = undefined
  }

  async #tidy(): Promise<void> {
    await this.#open()
    await this.#index.save()
    if (this.#index.isFull) await this.#index.rewrite(this.#base, this.#floor)
    const { keep, step, most, everyMs } = this.#limits
    if (this.#grown < step) return
    this.#grown = 0
    const end = await this.size()
    if (!this.#canPunch) return this.#empty(end)
    const needed = Math.min(end - keep, ...[...this.#cursors].map(({ position }) => position))
    const floor = Math.floor(Math.max(needed, end - most) / BLOCK) * BLOCK
    const now = this.#parts.clock.now()
    const isHasty = now - this.#cutAtMs < everyMs && floor - this.#floor < most / 2
    if (floor - this.#floor < step || isHasty) return
    this.#cutAtMs = now
    // Before the hole is there: nobody may read it.
    await this.#index.rewrite(this.#base, floor)
    this.#floor = floor
    const { file, log, punch = punchHead } = this.#parts
    const problem = await punch(file, floor - this.#base)
    if (problem === undefined) return
    this.#canPunch = false
    log.warn(
      { file, problem, limitBytes: most },
      'no hole can be punched: console logs grow and are then emptied',
    )
  }

  /** For file systems that know no holes: what the guest prints in this moment is lost, and the history is. */
  async #empty(end: number): Promise<void> {
    if (end - this.#base < this.#limits.most) return
    await this.#index.rewrite(end, end)
    this.#base = end
    this.#floor = end
    await truncate(this.#parts.file)
    this.onReset()
  }
}

/** A file for one reader, and the place of its first byte. */
interface OpenFile {
  /** Absent where the guest has never had a log. */
  handle: FileHandle | undefined
  base: number
}

/** Reads a console log from one place on. */
export class LogCursor implements AsyncDisposable {
  /** The next byte it reads. */
  position: number
  readonly #log: ConsoleLog
  readonly #file: Promise<OpenFile>
  #reading: Promise<unknown> = Promise.resolve()

  constructor(parts: { position: number; log: ConsoleLog; handle: Promise<OpenFile> }) {
    this.position = parts.position
    this.#log = parts.log
    this.#file = parts.handle
    // Told to whoever reads.
    this.#file.catch(() => {})
  }

  /**
   * The next bytes, at most 64 KiB and none from `end` on; nothing where there are none yet. One call at a time. Throws
   * `StreamEnded` where they are not kept any more, and the system's error.
   */
  async read(end: number): Promise<Buffer> {
    const reading = this.#read(Math.min(end - this.position, READ_BYTES))
    this.#reading = reading.catch(() => {})
    return reading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#log.release(this)
    await this.#reading
    const file = await this.#file.catch(() => undefined)
    // It was only read: nothing can be lost with it.
    await file?.handle?.close().catch(() => {})
  }

  async #read(length: number): Promise<Buffer> {
    const { handle, base } = await this.#file
    this.#check()
    if (length <= 0 || !handle) return Buffer.alloc(0)
    const buffer = Buffer.allocUnsafe(length)
    const { bytesRead } = await handle.read(buffer, 0, length, this.position - base)
    // It may have been cut off meanwhile, and zeros read in its place.
    this.#check()
    this.position += bytesRead
    return buffer.subarray(0, bytesRead)
  }

  #check(): void {
    if (this.position < this.#log.floor) throw new StreamEnded('behind')
  }
}
