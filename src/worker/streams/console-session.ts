import { Duplex } from 'node:stream'
import { StreamEnded } from '../../lib/stream-end.ts'
import { Backlog } from './backlog.ts'
import { CatchUp, type LiveOutput } from './catch-up.ts'

/** What a session types into. */
export interface Keyboard {
  /** Resolves once the guest's port has taken the bytes, or the session is gone. */
  type(session: ConsoleSession, bytes: Buffer): Promise<void>
  /** The session, which has asked for time, has read all there was. */
  goOn(session: ConsoleSession): void
  /** The session is over. */
  leave(session: ConsoleSession): void
}

/** How a session came to be. */
export interface SessionParts {
  keyboard: Keyboard
  output: LiveOutput
  /** What a viewer types is dropped. */
  mode: 'write' | 'view'
  user: string
}

/** Bytes of output that wait in memory for a session; what is behind them is read from the log when it is needed. */
const LIVE_LIMIT = 256 * 1024
/** With so many waiting, a session is about to be behind. */
const ALMOST_BEHIND = 128 * 1024
/** The same as the first, for a session that has no log to read from. Source: contract 3.4. */
const BEHIND_LIMIT = 1024 * 1024
/** What the stream itself keeps: little, as it keeps an object for each of the guest's writes. */
const OUTPUT_BUFFER = 1024
const INPUT_BUFFER = 64 * 1024

/**
 * One session at a serial console. Either side's end is the end of both. A session that does not keep up with the guest
 * goes on from the log, at its own speed, until it has caught up.
 */
export class ConsoleSession extends Duplex {
  readonly user: string
  readonly mode: SessionParts['mode']
  readonly #keyboard: Keyboard
  readonly #output: LiveOutput
  readonly #backlog = new Backlog()
  #behind: CatchUp | undefined
  #isWanted = false
  /** It has asked for time since it last had read all there was. */
  #hasAsked = false
  /** Nothing more will be delivered. */
  #isFinished = false
  /** Behind the backlog comes the end. */
  #isOver = false

  constructor({ keyboard, output, mode, user }: SessionParts) {
    super({ allowHalfOpen: false, readableHighWaterMark: OUTPUT_BUFFER, writableHighWaterMark: INPUT_BUFFER })
    this.#keyboard = keyboard
    this.#output = output
    this.mode = mode
    this.user = user
    // It may be ended before whoever asked for it has begun to listen.
    this.on('error', () => {})
  }

  /** Whether it reads from the log, as it did not keep up. */
  get isBehind(): boolean {
    return this.#behind !== undefined
  }

  /** Hands on what the guest printed; `position` is its place in the log, where it is known. The guest never waits. */
  deliver(bytes: Buffer, position: number | undefined): void {
    // One that reads from the log finds it there.
    if (this.destroyed || this.#isFinished || this.#behind) return
    if (this.#isWanted && this.#backlog.length === 0) {
      this.#isWanted = this.push(bytes)
      return
    }
    const waiting = this.#backlog.length + bytes.length
    if (waiting > LIVE_LIMIT && position !== undefined && this.#output.log) this.#fallBehind(position)
    else if (waiting <= BEHIND_LIMIT) this.#backlog.append(bytes)
    else this.destroy(new StreamEnded('behind'))
  }

  /** Whether what comes next should wait for a moment; asked for once, until all has been read that waits. */
  asksForTime(): boolean {
    if (this.#hasAsked || this.#behind || this.#backlog.length < ALMOST_BEHIND) return false
    this.#hasAsked = true
    return true
  }

  /** The guest's port is gone, having said all before `end`: that arrives, then the session ends. */
  finish(end?: number): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#keyboard.leave(this)
    if (this.#behind) this.#behind.finish(end)
    else this.#over()
  }

  override _read(): void {
    this.#isWanted = true
    const bytes = this.#backlog.take()
    if (this.#hasAsked && this.#backlog.length === 0) {
      this.#hasAsked = false
      this.#keyboard.goOn(this)
    }
    if (bytes) this.#isWanted = this.push(bytes)
    else if (this.#isOver) this.push(null)
    else this.#behind?.wake()
    // Otherwise `deliver` brings what there is, when it is there.
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // Rejections become errors of this stream.
    if (this.mode === 'write') void this.#type(bytes, done)
    else done()
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
    // The client is gone: nobody reads what it has not read yet.
    this.#behind?.[Symbol.dispose]()
    this.#behind = undefined
    this.finish()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#behind?.[Symbol.dispose]()
    this.#keyboard.leave(this)
    done(error)
  }

  #fallBehind(position: number): void {
    this.#behind = new CatchUp({
      output: this.#output,
      position,
      push: (bytes) => (this.#isWanted = this.push(bytes)),
      onLive: () => (this.#behind = undefined),
      onEnd: (error) => {
        if (error) this.destroy(error)
        else this.#over()
      },
    })
  }

  #over(): void {
    this.#isOver = true
    if (!this.destroyed && this.#backlog.length === 0) this.push(null)
  }

  async #type(bytes: Buffer, done: (error?: Error | null) => void): Promise<void> {
    let failure: Error | undefined
    try {
      await this.#keyboard.type(this, bytes)
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    done(failure)
  }
}
