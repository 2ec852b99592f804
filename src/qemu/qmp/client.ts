import type { Socket } from 'node:net'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { deadline } from './deadline.ts'
import { dialMonitor } from './dial.ts'
import { QmpClosed, QmpError } from './errors.ts'
import { QmpEvents, type WaitOptions } from './events.ts'
import { formatExact, parseExact } from '../../lib/exact-json.ts'
import { readLines } from './lines.ts'

export { QmpClosed, QmpError, QmpTimeout } from './errors.ts'
export type { QmpEvent, QmpEvents, WaitOptions } from './events.ts'

/** What QEMU says of itself when a client connects. */
export interface QmpGreeting {
  version: { qemu: { major: number; minor: number; micro: number }; package: string }
  capabilities: string[]
}

/** A connection to one monitor of one QEMU. */
export interface QmpClient extends AsyncDisposable {
  readonly greeting: QmpGreeting
  readonly events: QmpEvents
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>
  /**
   * Runs a command and answers what it returns. Whole numbers above 2^53 are `bigint`s.
   *
   * Throws `QmpError` where QEMU refuses it, `QmpTimeout` after `timeoutMs` (5 s where absent), `QmpClosed`
   * where the connection ends first, and the reason of `signal` where that aborts: the command may still run.
   */
  execute<T = unknown>(command: string, args?: object, options?: WaitOptions): Promise<T>
  /** Ends the connection. QEMU and its guest go on. */
  close(): Promise<void>
}

/** How long to try, and what ends the trying. */
export interface ConnectOptions extends WaitOptions {
  /** Asked between tries: no use in waiting for the socket of a process that has died. */
  alive?: () => boolean
}

const CONNECT_TIMEOUT_MS = 5_000
const COMMAND_TIMEOUT_MS = 5_000

/**
 * Connects to the monitor at the unix socket `path`, which need not be there yet, and makes it ready for commands.
 *
 * A monitor serves one client at a time: while another one is connected this waits, as QEMU does not greet.
 * Throws `QmpTimeout` after `timeoutMs` (5 s where absent), `QmpClosed` where `alive` says that the process has
 * died or where something other than a monitor answers, and the reason of `signal` where that aborts.
 */
export async function connectQmp(path: string, options: ConnectOptions = {}): Promise<QmpClient> {
  const { timeoutMs = CONNECT_TIMEOUT_MS, signal, alive = () => true } = options
  const giveUp = new AbortController()
  using _limit = deadline(`connecting to ${path}`, timeoutMs, [signal], (reason) => giveUp.abort(reason))
  const socket = await dialMonitor(path, alive, giveUp.signal)
  const connection = new Connection(socket)
  try {
    await connection.negotiate(giveUp.signal)
    return connection
  } catch (error) {
    await connection.close()
    throw error
  }
}

interface Waiting {
  command: string
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
}

class Connection implements QmpClient {
  readonly events = new QmpEvents()
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #greeted = Promise.withResolvers<QmpGreeting>()
  #greeting: QmpGreeting | undefined
  #lastId = 0
  #reason: QmpClosed | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    // Without a listener of its own a rejection that comes before anybody asks would end the process.
    this.#greeted.promise.catch(() => {})
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    socket.once('close', () => {
      this.#end(new QmpClosed('the connection to the monitor ended'))
      resolve()
    })
    socket.on('error', (error) => this.#end(new QmpClosed('the connection to the monitor failed', error)))
    readLines(
      socket,
      (line) => this.#takeLine(line),
      (error) => this.#end(new QmpClosed('the monitor does not speak QMP', error)),
    )
  }

  get greeting(): QmpGreeting {
    // `connectQmp` hands a connection out only after it has been greeted.
    return this.#greeting!
  }

  async negotiate(signal: AbortSignal): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    using _limit = deadline('greeting', undefined, [signal], reject)
    this.#greeting = await Promise.race([this.#greeted.promise, promise])
    await this.execute('qmp_capabilities', undefined, { signal })
  }

  async execute<T = unknown>(command: string, args?: object, options: WaitOptions = {}): Promise<T> {
    if (this.#reason) throw new QmpClosed(`${command}: ${this.#reason.message}`, this.#reason)
    const { timeoutMs = COMMAND_TIMEOUT_MS, signal } = options
    signal?.throwIfAborted()
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    using _limit = deadline(command, timeoutMs, [signal], reject)
    this.#waiting.set(id, { command, resolve, reject })
    this.#socket.write(`${formatExact({ execute: command, ...(args && { arguments: args }), id })}\n`)
    try {
      // The caller names the type of what QEMU documents for the command.
      return (await promise) as T
    } finally {
      this.#waiting.delete(id)
    }
  }

  async close(): Promise<void> {
    this.#end(new QmpClosed('the connection was closed by this side'))
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #takeLine(line: string): void {
    if (line === '' || this.#reason) return
    const message = parseRecord(line)
    if (!message) this.#end(new QmpClosed(`the monitor does not speak QMP: ${line.slice(0, 80)}`))
    // These three are what QMP sends; their members are as its specification says.
    else if (message.QMP) this.#greeted.resolve(message.QMP as QmpGreeting)
    else if (typeof message.event === 'string') this.#takeEvent(message)
    else this.#takeReply(message)
  }

  #takeEvent(message: JsonRecord): void {
    const { event, data, timestamp } = message as { event: string; data?: JsonRecord; timestamp: never }
    this.events.emit({ event, data: data ?? {}, timestamp })
  }

  #takeReply({ id, return: answer, error }: JsonRecord): void {
    // A reply that nobody waits for any more came after its timeout.
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined
    if (!isRecord(error)) waiting?.resolve(answer)
    else waiting?.reject(new QmpError(waiting.command, String(error.class), String(error.desc)))
  }

  #end(reason: QmpClosed): void {
    if (this.#reason) return
    this.#reason = reason
    this.#greeted.reject(reason)
    for (const { command, reject } of this.#waiting.values()) {
      reject(new QmpClosed(`${command}: ${reason.message}`, reason))
    }
    this.events.close(reason)
    this.#socket.destroy()
  }
}

function parseRecord(line: string): JsonRecord | undefined {
  try {
    const message = parseExact(line)
    return isRecord(message) ? message : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
