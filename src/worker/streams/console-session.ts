import { Duplex } from 'node:stream'
import { StreamEnded } from '../../lib/stream-end.ts'

/** What a session types into. */
export interface Keyboard {
  /** Resolves once the guest's port has taken the bytes, or the session is gone. */
  type(session: ConsoleSession, bytes: Buffer): Promise<void>
  /** The session is over. */
  leave(session: ConsoleSession): void
}

/** Bytes that a session may be behind before it is ended. Source: contract 3.4. */
const BEHIND_LIMIT = 1024 * 1024
const INPUT_BUFFER = 64 * 1024

/** One session at a serial console. Either side's end is the end of both. */
export class ConsoleSession extends Duplex {
  readonly #keyboard: Keyboard

  constructor(keyboard: Keyboard) {
    super({ allowHalfOpen: false, writableHighWaterMark: INPUT_BUFFER })
    this.#keyboard = keyboard
    // It may be ended before whoever asked for it has begun to listen.
    this.on('error', () => {})
  }

  /** Hands on what the guest printed. A session that does not keep up is ended: the guest never waits for it. */
  deliver(bytes: Buffer): void {
    if (this.destroyed || this.readableEnded) return
    if (this.readableLength + bytes.length <= BEHIND_LIMIT) this.push(bytes)
    else this.destroy(new StreamEnded('behind'))
  }

  /** The guest's port is gone: what is still on its way arrives, then the session ends. */
  finish(): void {
    if (!this.destroyed) this.push(null)
    this.#keyboard.leave(this)
  }

  override _read(): void {
    // `deliver` brings what there is, when it is there.
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // Rejections become errors of this stream.
    void this.#type(bytes, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
    this.finish()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#keyboard.leave(this)
    done(error)
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
