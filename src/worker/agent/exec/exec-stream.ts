import { Duplex } from 'node:stream'
import type { ExecOutput } from '../../../rpc/actions.ts'

const LINE_LIMIT = 128 * 1024

/** The lines that come of a program in a guest. What is written to it is dropped: the agent hands no input on. */
export class ExecStream extends Duplex {
  readonly #gone = new AbortController()
  #room = Promise.withResolvers<void>()

  constructor() {
    super({ allowHalfOpen: false, readableHighWaterMark: LINE_LIMIT })
    // It may be ended before whoever asked for it has begun to listen.
    this.on('error', () => {})
  }

  /** Aborts when nobody reads any more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Hands a line on; resolves when there is room for another one, or when nobody reads any more. */
  async send(line: ExecOutput): Promise<void> {
    if (this.destroyed) return
    const room = Promise.withResolvers<void>()
    this.#room = room
    if (!this.push(`${JSON.stringify(line)}\n`)) await room.promise
  }

  /** The last line, and the end. */
  finish(line: ExecOutput): void {
    if (this.destroyed) return
    this.push(`${JSON.stringify(line)}\n`)
    this.push(null)
  }

  override _read(): void {
    this.#room.resolve()
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#gone.abort()
    this.#room.resolve()
    done(error)
  }
}
