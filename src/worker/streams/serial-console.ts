import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import { ConsoleSession, type Keyboard } from './console-session.ts'

/** What a console is opened with. */
export interface SerialOptions {
  /** Connects to the guest's serial port. */
  dial: () => Promise<Socket>
  clock: Clock
  /** Told of every so many bytes that the guest printed: its log has grown. */
  onOutput: (bytes: number) => void
}

const RETRY_MS = 1000

/** The serial port is not connected, or not any more. */
export class PortLost extends Error {
  constructor() {
    super('the serial port of the guest is not connected')
    this.name = 'PortLost'
  }
}

/**
 * The serial port of one guest: the one and only client of QEMU's socket, which always reads, because a guest
 * stalls on a client that does not. One session sees what comes; a new one takes over from it.
 * Source: contract 3.4.
 */
export class SerialConsole implements Keyboard, Disposable {
  readonly #options: SerialOptions
  #port: Socket | undefined
  #session: ConsoleSession | undefined
  #typing: Promise<void> | undefined
  #retry: Disposable | undefined
  #closed = false

  constructor(options: SerialOptions) {
    this.#options = options
  }

  /** Connects. Throws the system's error; later breaks are mended by themselves. */
  async connect(): Promise<void> {
    const port = await this.#options.dial()
    if (this.#closed) {
      port.destroy()
      return
    }
    this.#port = port
    port.on('data', (bytes: Buffer) => {
      this.#session?.deliver(bytes)
      this.#options.onOutput(bytes.length)
    })
    // 'close' follows.
    port.on('error', () => {})
    port.once('close', () => this.#lost(port))
  }

  /** A new session, which sees what the guest prints from now on. */
  open(): Duplex {
    const session = new ConsoleSession(this)
    const before = this.#session
    this.#session = session
    before?.destroy(new StreamEnded('displaced'))
    return session
  }

  async type(session: ConsoleSession, bytes: Buffer): Promise<void> {
    // One at a time, whichever session it is from: a guest that does not read must not make us keep ever more.
    while (this.#typing) await this.#typing
    if (session.destroyed) return
    const port = this.#port
    if (!port) throw new PortLost()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#typing = promise
    // An error ends the port, and that the session.
    port.write(bytes, () => {
      this.#typing = undefined
      resolve()
    })
    await promise
  }

  leave(session: ConsoleSession): void {
    if (this.#session === session) this.#session = undefined
  }

  /** Ends the session because this process is about to end. */
  drain(): void {
    this.#session?.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#retry?.[Symbol.dispose]()
    this.#port?.destroy()
    this.#session?.finish()
  }

  #lost(port: Socket): void {
    if (this.#port === port) this.#port = undefined
    this.#session?.finish()
    if (!this.#closed) this.#reconnectLater()
  }

  #reconnectLater(): void {
    this.#retry = this.#options.clock.after(RETRY_MS, () => {
      // Where QEMU is gone this goes on until the machine is, which closes us.
      this.connect().catch(() => this.#closed || this.#reconnectLater())
    })
  }
}
