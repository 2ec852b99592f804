import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { isAlive, signalProcess } from '../../qemu/process.ts'
import type { QmpClient, QmpEvent } from '../../qemu/qmp/client.ts'
import { AgentLane } from '../agent/lane.ts'
import { Exporter } from '../backup/exporter.ts'
import { NBD_SOCKET } from '../backup/nbd.ts'
import type { GuestFiles } from '../files/paths.ts'
import { dial, withPinned } from '../files/pin.ts'
import { TapWatch } from '../network/bridge/tend.ts'
import { Tunnels } from '../network/tunnels.ts'
import { ConsoleLog } from '../streams/console-log.ts'
import { Display } from '../streams/display.ts'
import { SerialConsole } from '../streams/serial-console.ts'
import { UsbSlots } from '../streams/usb-slots.ts'
import { noteLastWords, type LastWords } from './last-words.ts'
import { connectMonitor, endsWithin, socketOf } from './monitor.ts'
import { MonitorLink } from './monitor-link.ts'
import type { Launched } from './state.ts'

/** What a machine is attached to with. */
export interface MachineOptions {
  process: Launched
  /** User that QEMU runs as. */
  ownerUid: number
  files: GuestFiles
  hasSerial: boolean
  /** Whether QEMU writes down what the guest prints at its serial port. */
  logsSerial: boolean
  hasDisplay: boolean
  clock: Clock
  log: Log
  /** Called whenever something may have changed: ask for the state then. */
  onChange: () => void
  /** Milliseconds for QEMU to become ready. */
  timeoutMs: number
  signal: AbortSignal
}

const AGENT_PORT = 'channel0'
const AGENT_CHARDEV = 'qga0'
/** For a socket of a QEMU that runs. */
const SOCKET_MS = 5000

/** What is done with an agent: a path to connect to, and what ends it. */
export type AgentUse<T> = (path: string, signal: AbortSignal) => Promise<T>

/** A running QEMU, with all we are connected to. Closing it leaves QEMU and its guest running. */
export class Machine implements AsyncDisposable {
  readonly process: Launched
  readonly serial: SerialConsole | undefined
  /** What the guest has printed there. */
  readonly consoleLog: ConsoleLog | undefined
  readonly display: Display | undefined
  readonly usb: UsbSlots
  /** Connections into the guest's network. */
  readonly tunnels = new Tunnels()
  /** When its cards on bridges were looked at. */
  readonly tapWatch: TapWatch
  /** Brings the disks of a backup to who reads them. */
  readonly exporter: Exporter
  readonly lastWords: LastWords = {}
  /** Disks that the guest was asked to let go of: device id → when first and last, milliseconds since 1970. */
  readonly unplugs = new Map<string, { firstMs: number; lastMs: number }>()
  /** Whether an agent listens in the guest. */
  hasAgent = false
  /** How often an agent has come: another number means another agent. */
  agentArrivals = 0
  /** How often the guest has been reset since we are connected: its file systems are thawed then. */
  resets = 0
  /** Looks in a row that QEMU has not answered. */
  missedLooks = 0
  /** When a guest whose storage was full is let go on again; milliseconds since 1970. */
  retryAtMs: number | undefined
  readonly #options: MachineOptions
  readonly #closing = new AbortController()
  readonly #agentLane: AgentLane
  readonly #link: MonitorLink

  private constructor(options: MachineOptions, qmp: QmpClient) {
    const { process, hasSerial, logsSerial, hasDisplay, clock, files, log } = options
    this.#options = options
    this.process = process
    this.#agentLane = new AgentLane(clock)
    this.tapWatch = new TapWatch(clock)
    if (hasSerial && logsSerial) this.consoleLog = new ConsoleLog({ file: files.serialLog, clock, log })
    const serialOptions = {
      dial: () => this.#withSocket('serial0.sock', dial),
      clock,
      log: this.consoleLog,
    }
    this.serial = hasSerial ? new SerialConsole(serialOptions) : undefined
    this.display = hasDisplay ? new Display(() => this.#withSocket('vnc.sock', dial)) : undefined
    this.exporter = new Exporter({ dial: () => this.#withSocket(NBD_SOCKET, dial), log })
    this.usb = new UsbSlots((slot) => this.#withSocket(`usbredir${slot}.sock`, dial))
    this.#link = new MonitorLink(qmp, {
      ...options,
      onEvent: (event) => this.#note(event),
      onBack: async () => {
        this.hasAgent = await this.#isAgentThere().catch(() => this.hasAgent)
      },
      onEnd: () => this.#endStreams(),
      signal: this.#closing.signal,
    })
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
      // CPUs that stand still print nothing.
      if ((await machine.runState()) !== 'running') await machine.serial?.settle()
      machine.hasAgent = await machine.#isAgentThere()
      return machine
    } catch (error) {
      await machine[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The one directory that QEMU writes to, and the user that it is. */
  get place(): { runDir: string; ownerUid: number } {
    const { files, ownerUid } = this.#options
    return { runDir: files.runDir, ownerUid }
  }

  /** The process is gone. */
  get ended(): boolean {
    return this.#link.ended
  }

  /** Runs a QMP command. Throws `QmpError`, `QmpTimeout` and `QmpClosed`. */
  async command<T = unknown>(name: string, args?: object): Promise<T> {
    return this.#link.command<T>(name, args)
  }

  /** The run state, such as `running` or `io-error`. Throws as `command`. */
  async runState(): Promise<string> {
    return (await this.command<{ status: string }>('query-status')).status
  }

  /**
   * Runs a command and waits for the event that tells it is done. Throws as `command`.
   */
  async commandAwaiting(name: string, event: string, timeoutMs: number): Promise<void> {
    return this.#link.commandAwaiting(name, event, timeoutMs)
  }

  /**
   * Hands `use` a path to connect to the guest's agent by, when its turn comes, and a signal that aborts when we leave.
   * Throws what `use` throws, and `UntrustedSocket`.
   */
  async withAgent<T>(use: AgentUse<T>): Promise<T> {
    return this.#agentLane.run(() => this.#useAgent(use, this.#closing.signal))
  }

  /** As `withAgent`, for what gives way to all else. Throws `GaveWay` besides. */
  async withIdleAgent<T>(use: AgentUse<T>): Promise<T> {
    return this.#agentLane.runIdle((signal) =>
      this.#useAgent(use, AbortSignal.any([signal, this.#closing.signal])),
    )
  }

  async #useAgent<T>(use: AgentUse<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    return this.#withSocket('qga.sock', (path) => use(path, signal))
  }

  /** Asks whether an agent listens: one that came with a guest from another node is not told of. Throws as `command`. */
  async findAgent(): Promise<void> {
    this.hasAgent = await this.#isAgentThere()
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
    this.consoleLog?.drain()
    this.display?.drain()
    this.usb.drain()
    this.tunnels.drain()
  }

  /** Ends all streams and connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#endStreams()
    await this.consoleLog?.[Symbol.asyncDispose]()
    await this.#link[Symbol.asyncDispose]()
  }

  #endStreams(): void {
    this.serial?.[Symbol.dispose]()
    this.consoleLog?.finish()
    this.display?.[Symbol.dispose]()
    this.usb[Symbol.dispose]()
    this.tunnels[Symbol.dispose]()
    this.exporter[Symbol.dispose]()
  }

  async #withSocket<T>(name: string, use: (path: string) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(SOCKET_MS)])
    return withPinned(socketOf(this.#options, name), { alive: () => isAlive(this.process), signal }, use)
  }

  async #isAgentThere(): Promise<boolean> {
    const chardevs = await this.command<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
    return chardevs.some(({ label, 'frontend-open': isOpen }) => label === AGENT_CHARDEV && isOpen)
  }

  #note(told: QmpEvent): void {
    noteLastWords(this.lastWords, told)
    const { event, data } = told
    if (event === 'RESET') this.resets += 1
    if (event === 'VSERPORT_CHANGE' && data.id === AGENT_PORT) this.#agentCame(data.open === true)
  }

  #agentCame(isThere: boolean): void {
    this.hasAgent = isThere
    if (isThere) this.agentArrivals += 1
  }
}
