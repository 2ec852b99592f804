import { join } from 'node:path'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { isAlive, signalProcess, waitForExit } from '../../qemu/process.ts'
import { connectQmp, type QmpClient, QmpClosed, type QmpEvent } from '../../qemu/qmp/client.ts'
import type { GuestFiles } from '../files/paths.ts'
import { dial, type QemuSocket, withPinned } from '../files/pin.ts'
import { Display } from '../streams/display.ts'
import { SerialConsole } from '../streams/serial-console.ts'
import { LogRotation } from './log-rotation.ts'
import type { Launched } from './state.ts'

/** What a machine is attached to with. */
export interface MachineOptions {
  process: Launched
  /** User that QEMU runs as. */
  ownerUid: number
  files: GuestFiles
  hasSerial: boolean
  hasDisplay: boolean
  clock: Clock
  log: Log
  /** Called whenever something may have changed: ask for the state then. */
  onChange: () => void
  /** Milliseconds for QEMU to become ready. */
  timeoutMs: number
  signal: AbortSignal
}

/** What QEMU last told before it ended, or before its guest stood still. */
export interface LastWords {
  /** `reason` of the event `SHUTDOWN`, such as `guest-shutdown` or `host-signal`. */
  shutdown?: string
  /** Action of the event `WATCHDOG`. */
  watchdog?: string
  /** The guest's storage was full, by the event `BLOCK_IO_ERROR`. */
  noSpace?: boolean
  /** `reason` of the event `BLOCK_IO_ERROR`. */
  ioError?: string
}

/** Events after which the state may be another one. */
const CHANGING = [
  'STOP',
  'RESUME',
  'RESET',
  'SHUTDOWN',
  'GUEST_PANICKED',
  'WATCHDOG',
  'BLOCK_IO_ERROR',
  'VSERPORT_CHANGE',
]
const MONITORS = ['qmp.sock', 'qmp-aux.sock']
const AGENT_PORT = 'channel0'
const AGENT_CHARDEV = 'qga0'
/** A QEMU that ends closes its monitor first. */
const EXIT_MS = 2000
const RECONNECT_MS = 5000

/** A running QEMU, with all we are connected to. Closing it leaves QEMU and its guest running. */
export class Machine implements AsyncDisposable {
  readonly process: Launched
  readonly serial: SerialConsole | undefined
  readonly display: Display | undefined
  readonly lastWords: LastWords = {}
  /** Whether an agent listens in the guest. */
  hasAgent = false
  /** The process is gone. */
  ended = false
  /** Looks in a row that QEMU has not answered. */
  missedLooks = 0
  /** When a guest whose storage was full is let go on again; milliseconds since 1970. */
  retryAtMs: number | undefined
  readonly #options: MachineOptions
  readonly #closing = new AbortController()
  #qmp: QmpClient
  #following: Promise<void>

  private constructor(options: MachineOptions, qmp: QmpClient) {
    const { process, hasSerial, hasDisplay, clock, files, log } = options
    this.#options = options
    this.process = process
    this.#qmp = qmp
    const rotation = new LogRotation(files.serialLog, log)
    const serialOptions = {
      dial: () => this.#withSocket('serial0.sock', dial),
      clock,
      onOutput: (bytes: number) => rotation.grew(bytes),
    }
    this.serial = hasSerial ? new SerialConsole(serialOptions) : undefined
    this.display = hasDisplay ? new Display(() => this.#withSocket('vnc.sock', dial)) : undefined
    this.#listen(qmp)
    this.#following = this.#follow()
  }

  /**
   * Connects to a QEMU that runs or is about to.
   *
   * Throws `QmpClosed` and `UntrustedSocket` where it has died, `QmpTimeout` where it does not answer, the reason of
   * `signal`.
   */
  static async attach(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options, await connectMonitor(options, options.signal))
    try {
      await machine.serial?.connect()
      machine.hasAgent = await machine.#isAgentThere()
      return machine
    } catch (error) {
      await machine[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Runs a QMP command. Throws `QmpError`, `QmpTimeout` and `QmpClosed`. */
  async command<T = unknown>(name: string, args?: object): Promise<T> {
    return this.#qmp.execute<T>(name, args)
  }

  /** The run state, such as `running` or `io-error`. Throws as `command`. */
  async runState(): Promise<string> {
    return (await this.command<{ status: string }>('query-status')).status
  }

  /**
   * Runs a command and waits for the event that tells it is done. Throws as `command`.
   */
  async commandAwaiting(name: string, event: string, timeoutMs: number): Promise<void> {
    const given = new AbortController()
    const seen = this.#qmp.events.waitFor(event, undefined, { timeoutMs, signal: given.signal })
    // Where the command fails nobody waits for the event.
    seen.catch(() => {})
    try {
      await this.command(name)
      await seen
    } finally {
      given.abort()
    }
  }

  /** Hands `use` a path to connect to the guest's agent by. Throws what `use` throws, and `UntrustedSocket`. */
  async withAgent<T>(use: (path: string) => Promise<T>): Promise<T> {
    return this.#withSocket('qga.sock', use)
  }

  /** Sends QEMU a signal. */
  kill(signal: NodeJS.Signals): void {
    signalProcess(this.process, signal)
  }

  /** Whether the process is gone within that time. */
  async endsWithin(ms: number): Promise<boolean> {
    return endsWithin(this.process, ms)
  }

  /** Ends all streams because this process is about to end. */
  drain(): void {
    this.serial?.drain()
    this.display?.drain()
  }

  /** Ends all streams and connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.serial?.[Symbol.dispose]()
    this.display?.[Symbol.dispose]()
    await this.#qmp.close()
    await this.#following
  }

  async #withSocket<T>(name: string, use: (path: string) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(RECONNECT_MS)])
    return withPinned(placeOf(this.#options, name), { alive: () => isAlive(this.process), signal }, use)
  }

  async #isAgentThere(): Promise<boolean> {
    const chardevs = await this.command<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
    return chardevs.some(({ label, 'frontend-open': isOpen }) => label === AGENT_CHARDEV && isOpen)
  }

  #listen({ events }: QmpClient): void {
    for (const name of CHANGING) {
      events.on(name, (event) => {
        this.#note(event)
        this.#options.onChange()
      })
    }
  }

  #note({ event, data }: QmpEvent): void {
    const words = this.lastWords
    if (event === 'SHUTDOWN') words.shutdown = String(data.reason)
    if (event === 'RESUME') delete words.shutdown
    if (event === 'WATCHDOG') words.watchdog = String(data.action)
    if (event === 'BLOCK_IO_ERROR') {
      words.noSpace = data.nospace === true
      words.ioError = String(data.reason)
    }
    if (event === 'VSERPORT_CHANGE' && data.id === AGENT_PORT) this.hasAgent = data.open === true
  }

  /** Sees to it that there is a monitor for as long as there is a process, and notices when that ends. */
  async #follow(): Promise<void> {
    for (;;) {
      await this.#qmp.closed
      while (!this.#closing.signal.aborted && !this.ended && !(await this.#reconnect())) {
        // Each try takes its time.
      }
      if (this.#closing.signal.aborted) return
      this.#options.onChange()
      if (!this.ended) continue
      this.serial?.[Symbol.dispose]()
      this.display?.[Symbol.dispose]()
      return
    }
  }

  async #reconnect(): Promise<boolean> {
    const { signal } = this.#closing
    try {
      this.ended = await endsWithin(this.process, EXIT_MS, signal)
      if (this.ended) return false
      this.#qmp = await connectMonitor({ ...this.#options, timeoutMs: RECONNECT_MS }, signal)
    } catch (error) {
      if (signal.aborted) return false
      this.#options.log.warn({ err: error, pid: this.process.pid }, 'no monitor of a running QEMU answers')
      return false
    }
    this.#listen(this.#qmp)
    this.hasAgent = await this.#isAgentThere().catch(() => this.hasAgent)
    return true
  }
}

/** Whether a process is gone within that time. Throws the reason of `signal`. */
export async function endsWithin(process: Launched, ms: number, signal?: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.timeout(ms)
  try {
    await waitForExit(process, signal ? AbortSignal.any([limit, signal]) : limit)
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (limit.aborted) return !isAlive(process)
    throw error
  }
}

function placeOf({ files, ownerUid }: MachineOptions, name: string): QemuSocket {
  return { socket: join(files.runDir, name), pinDir: files.pinDir, ownerUid }
}

async function connectMonitor(options: MachineOptions, signal: AbortSignal): Promise<QmpClient> {
  const { process, timeoutMs } = options
  const alive = (): boolean => isAlive(process)
  let failure: unknown
  for (const socket of MONITORS) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    try {
      const connect = (path: string) => connectQmp(path, { timeoutMs, signal: limit, alive })
      return await withPinned(placeOf(options, socket), { alive, signal: limit }, connect)
    } catch (error) {
      signal.throwIfAborted()
      failure = error
      if (!alive()) break
    }
  }
  throw failure instanceof Error ? failure : new QmpClosed('no monitor answers', failure)
}
