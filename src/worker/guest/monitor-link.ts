import type { Log } from '../../lib/log.ts'
import type { QmpClient, QmpEvent } from '../../qemu/qmp/client.ts'
import { connectMonitor, endsWithin, type MonitorOptions } from './monitor.ts'

/** What a link is kept with. */
export interface MonitorLinkOptions extends Omit<MonitorOptions, 'timeoutMs'> {
  log: Log
  /** Called with each event after which the state may be another one. */
  onEvent: (event: QmpEvent) => void
  /** Called after that, and when the monitor is there again or the process gone. */
  onChange: () => void
  /** Called when a monitor answers again, before anybody is told. */
  onBack: () => Promise<void>
  /** Called once the process is gone. */
  onEnd: () => void
  /** Ends the link; QEMU goes on. */
  signal: AbortSignal
}

const CHANGING = [
  'STOP',
  'RESUME',
  'RESET',
  'SHUTDOWN',
  'GUEST_PANICKED',
  'WATCHDOG',
  'BLOCK_IO_ERROR',
  'VSERPORT_CHANGE',
  'DEVICE_DELETED',
  'DUMP_COMPLETED',
  'MIGRATION',
  'MIGRATION_PASS',
  'BLOCK_JOB_READY',
  'BLOCK_JOB_COMPLETED',
  'BLOCK_JOB_ERROR',
]
/** A QEMU that ends closes its monitor first. */
const EXIT_MS = 2000
const RECONNECT_MS = 5000

/** A connection to the monitor of a QEMU, made anew for as long as there is a process. */
export class MonitorLink implements AsyncDisposable {
  /** The process is gone. */
  ended = false
  readonly #options: MonitorLinkOptions
  #qmp: QmpClient
  readonly #following: Promise<void>

  constructor(qmp: QmpClient, options: MonitorLinkOptions) {
    this.#options = options
    this.#qmp = qmp
    this.#listen(qmp)
    this.#following = this.#follow()
  }

  /** Runs a QMP command. Throws `QmpError`, `QmpTimeout` and `QmpClosed`. */
  async command<T>(name: string, args?: object): Promise<T> {
    return this.#qmp.execute<T>(name, args)
  }

  /** Runs a command and waits for the event that tells it is done. Throws as `command`. */
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

  /** To be called once `signal` has aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#qmp.close()
    await this.#following
    // Where it was just being connected anew.
    await this.#qmp.close()
  }

  #listen({ events }: QmpClient): void {
    for (const name of CHANGING) {
      events.on(name, (event) => {
        this.#options.onEvent(event)
        this.#options.onChange()
      })
    }
  }

  /** Sees to it that there is a monitor for as long as there is a process, and notices when that ends. */
  async #follow(): Promise<void> {
    const { signal, onChange, onEnd } = this.#options
    for (;;) {
      await this.#qmp.closed
      while (!signal.aborted && !this.ended && !(await this.#reconnect())) {
        // Each try takes its time.
      }
      if (signal.aborted) return
      onChange()
      if (!this.ended) continue
      onEnd()
      return
    }
  }

  async #reconnect(): Promise<boolean> {
    const { process, signal, log, onBack } = this.#options
    try {
      this.ended = await endsWithin(process, EXIT_MS, signal)
      if (this.ended) return false
      this.#qmp = await connectMonitor({ ...this.#options, timeoutMs: RECONNECT_MS }, signal)
    } catch (error) {
      if (signal.aborted) return false
      log.warn({ err: error, pid: process.pid }, 'no monitor of a running QEMU answers')
      return false
    }
    this.#listen(this.#qmp)
    await onBack()
    return true
  }
}
