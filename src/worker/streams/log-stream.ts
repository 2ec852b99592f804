import { Duplex } from 'node:stream'

/** A stream that is only read; what is written to it is dropped. Closing it ends what it reads from. */
export class LogStream extends Duplex {
  readonly #stop = new AbortController()
  readonly #chunks: AsyncGenerator<Buffer, void, void>

  /** `read` gives what is to be read; it ends when the signal aborts. */
  constructor(read: (signal: AbortSignal) => AsyncGenerator<Buffer, void, void>) {
    super({ allowHalfOpen: false })
    this.#chunks = read(this.#stop.signal)
    // It may be ended before whoever asked for it has begun to listen.
    this.on('error', () => {})
  }

  override _read(): void {
    // Rejections become errors of this stream.
    void this.#next()
  }

  override _write(_bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
    this.#stop.abort()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stop.abort()
    void this.#close(error, done)
  }

  /** What is read from closes its file; where it is in the middle of something, after that. */
  async #close(error: Error | null, done: (error?: Error | null) => void): Promise<void> {
    let failure = error
    try {
      await this.#chunks.return()
    } catch (thrown) {
      failure ??= asError(thrown)
    }
    done(failure)
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#chunks.next()
      if (!this.destroyed) this.push(done ? null : value)
    } catch (error) {
      this.destroy(asError(error))
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
