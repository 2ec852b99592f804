import type { Socket } from 'node:net'
import { serviceUnavailable } from '../../lib/errors.ts'
import { inUse } from '../../lib/in-use.ts'
import type { Clock } from '../../lib/clock.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import type { ConsoleOptions } from '../../rpc/actions.ts'
import type { LiveOutput } from './catch-up.ts'
import type { ConsoleLog } from './console-log.ts'
import { ConsoleSession, type Keyboard } from './console-session.ts'
import { LogPlace } from './log-place.ts'
import { PortPause } from './port-pause.ts'

/** What a console is opened with. */
export interface SerialOptions {
  /** Connects to the guest's serial port. */
  dial: () => Promise<Socket>
  clock: Clock
  /** Where QEMU writes what the guest prints, if it does. */
  log?: ConsoleLog | undefined
}

/** A session that was opened, and whose it took. */
export interface OpenedSession {
  session: ConsoleSession
  /** User of the session that was ended for it. */
  displaced?: string
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
 * The serial port of one guest: the one and only client of QEMU's socket, which always reads, because a guest stalls on
 * a client that does not. Any number of sessions see what comes, and one of them types. Source: contract 3.4.
 */
export class SerialConsole implements Keyboard, LiveOutput, Disposable {
  readonly clock: Clock
  readonly log: ConsoleLog | undefined
  readonly #options: SerialOptions
  readonly #place: LogPlace
  readonly #sessions = new Set<ConsoleSession>()
  readonly #pause: PortPause
  #port: Socket | undefined
  #writer: ConsoleSession | undefined
  #typing: Promise<void> | undefined
  #retry: Disposable | undefined
  #closed = false

  constructor(options: SerialOptions) {
    this.#options = options
    this.clock = options.clock
    this.log = options.log
    this.#place = new LogPlace(options.clock, options.log)
    this.#pause = new PortPause(options.clock)
  }

  get end(): number | undefined {
    return this.#place.end
  }

  /** How many sessions are open. */
  get size(): number {
    return this.#sessions.size
  }

  check(logEnd: Buffer): boolean {
    return this.#place.check(logEnd)
  }

  /** Connects. Throws the system's error; later breaks are mended by themselves. */
  async connect(): Promise<void> {
    const port = await this.#options.dial()
    if (this.#closed) {
      port.destroy()
      return
    }
    this.#port = port
    this.#place.begin()
    port.on('data', (bytes: Buffer) => this.#take(bytes, port))
    // 'close' follows.
    port.on('error', () => {})
    port.once('close', () => this.#lost(port))
  }

  /** The guest's CPUs stand still, and have printed nothing since we are connected. Throws the system's error. */
  async settle(): Promise<void> {
    await this.#place.settle()
  }

  /**
   * A new session, which sees what the guest prints from now on. One that is to type takes over from the one that does;
   * with `preserveSession` it is refused with 503 instead. Throws 503 where the port is not connected.
   */
  open({ mode, preserveSession, user }: ConsoleOptions): OpenedSession {
    if (!this.#port) throw serviceUnavailable('the serial port of the guest is not connected; try again')
    const before = mode === 'write' ? this.#writer : undefined
    if (before && preserveSession) throw inUse('Active console connection. Request denied.')
    const session = new ConsoleSession({ keyboard: this, output: this, mode, user })
    this.#sessions.add(session)
    if (mode === 'view') return { session }
    // Claimed in the same tick: of many who would preserve, one wins.
    this.#writer = session
    before?.destroy(new StreamEnded('displaced'))
    return { session, ...(before && { displaced: before.user }) }
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

  goOn(session: ConsoleSession): void {
    this.#pause.goOn(session)
  }

  leave(session: ConsoleSession): void {
    this.#sessions.delete(session)
    this.#pause.goOn(session)
    if (this.#writer === session) this.#writer = undefined
  }

  /** Ends all sessions because this process is about to end. */
  drain(): void {
    for (const session of this.#sessions) session.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#retry?.[Symbol.dispose]()
    this.#pause[Symbol.dispose]()
    this.#port?.destroy()
    this.#finish()
  }

  #take(bytes: Buffer, port: Socket): void {
    const position = this.#place.end
    this.#place.took(bytes)
    for (const session of this.#sessions) {
      session.deliver(bytes, position)
      if (session.asksForTime()) this.#pause.waitFor(session, port)
    }
    this.log?.grew(bytes.length, position)
  }

  #lost(port: Socket): void {
    if (this.#port === port) this.#port = undefined
    this.#finish()
    if (!this.#closed) this.#reconnectLater()
  }

  #finish(): void {
    const { end } = this.#place
    this.#place.lose()
    for (const session of this.#sessions) session.finish(end)
  }

  #reconnectLater(): void {
    this.#retry = this.#options.clock.after(RETRY_MS, () => {
      // Where QEMU is gone this goes on until the machine is, which closes us.
      this.connect().catch(() => this.#closed || this.#reconnectLater())
    })
  }
}
