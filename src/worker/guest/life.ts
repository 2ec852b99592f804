import { isFinal } from '../../kinds/kubevirt.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { isAlive } from '../../qemu/process.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { WorkerParts } from '../parts.ts'
import { endOrphans } from './adopt.ts'
import type { Bell } from './bell.ts'
import { endAfter, endOfMachine, endUnseen, type GuestEnd } from './end.ts'
import { classify, type GuestFailure } from './failure.ts'
import { forget, release } from './leave.ts'
import { Machine } from './machine.ts'
import { observe } from './observe.ts'
import type { GuestRecord, Happened } from './record.ts'
import { machineOptions, startGuest, type StartOptions } from './start.ts'
import { endQemu, shutDownGuest } from './stop.ts'
import type { Turns } from './turns.ts'

/** What a guest lives by. */
export interface LifeOptions {
  parts: WorkerParts
  files: GuestFiles
  record: GuestRecord
  bell: Bell
  turns: Turns
  onGone: () => void
}

/** What to do after a step: look again, at once or at the next ring or after a time; or nothing any more. */
type Next = 'again' | 'gone' | { waitMs?: number }

const TRIES = 3
const HOST_BACKOFF = { baseMs: 1_000, maxMs: 30_000 }
const PULL_BACKOFF = { baseMs: 5_000, maxMs: 300_000 }
const ADOPT_MS = 5_000
const STUMBLE_MS = 5_000
const NOT_ANSWERING = { reason: 'Unresponsive', message: 'QEMU runs and does not answer; it is left alone' }

/**
 * The life of one guest. It looks at what is wanted and what there is, takes one step from there towards what is
 * wanted, and looks again; so it goes on from wherever a crash, a failure or a change of mind has left it.
 */
export class Life implements AsyncDisposable {
  /** What the guest is to be, as far as this worker has been told since it started. */
  request: SyncRequest | undefined
  /** The QEMU that we are connected to. */
  machine: Machine | undefined
  readonly #options: LifeOptions
  readonly #closing = new AbortController()
  /** Ends a start that nobody wants any more. */
  #starting: AbortController | undefined
  #failures = 0
  #retryAtMs = 0
  #isReleased = false
  #running: Promise<void> = Promise.resolve()

  constructor(options: LifeOptions) {
    this.#options = options
  }

  /** Begins; resolves when there is nothing to be done at once. */
  async start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = this.#run(resolve)
    await promise
  }

  /** Something else is wanted: what is being done about a guest that does not run yet is dropped. */
  startOver(): void {
    this.#retryAtMs = 0
    this.#failures = 0
    this.#starting?.abort()
    this.#options.bell.ring()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.machine?.drain()
    await this.#running
    await this.machine?.[Symbol.asyncDispose]()
    this.machine = undefined
  }

  async #run(onCalm: () => void): Promise<void> {
    const { bell } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      // Starting and stopping take their time; whoever waits for calm waits for adoption alone.
      const { launch, phase, removal } = this.#options.record.state
      if (!launch || isFinal(phase) || (this.machine && removal)) onCalm()
      const next = await this.#step().catch((error: unknown) => this.#stumble(error))
      if (next === 'gone') break
      if (next === 'again') continue
      onCalm()
      await bell.wait(signal, next.waitMs)
    }
    onCalm()
  }

  /** A bug, or a host in trouble: the guest is left as it is, and looked at again. */
  #stumble(error: unknown): Next {
    if (this.#closing.signal.aborted) return {}
    const { record, parts } = this.#options
    parts.log.error({ err: error, vmi: record.state.guest }, 'cannot bring a guest to what is wanted of it')
    record.change({ trouble: { reason: 'SyncFailed', message: classify(error).message } })
    return { waitMs: STUMBLE_MS }
  }

  async #step(): Promise<Next> {
    const { state } = this.#options.record
    if (!this.machine && state.launch && !isFinal(state.phase)) return this.#adopt()
    if (state.removal) return this.#options.turns.run(() => this.#remove())
    if (isFinal(state.phase)) return this.#rest()
    if (this.machine) return this.#options.turns.run(() => this.#look())
    return this.#tryStart()
  }

  /** There was a QEMU when this worker, or the one before, last wrote something down. */
  async #adopt(): Promise<Next> {
    const { record, files, parts } = this.#options
    const { process, launch, phase, guest } = record.state
    if (!process) {
      if (launch) await endOrphans(launch, files)
      await record.keep({ launch: undefined })
      return 'again'
    }
    if (isAlive(process)) return this.#attach()
    parts.log.warn({ vmi: guest, pid: process.pid }, 'a QEMU has ended while no worker was there')
    if (phase === 'Running') return this.#finish(await endUnseen(process, files))
    await record.keep({ process: undefined, launch: undefined })
    return 'again'
  }

  async #attach(): Promise<Next> {
    const { record, parts } = this.#options
    const { process, removal, guest } = record.state
    if (!process) return 'again'
    const { signal } = this.#closing
    try {
      this.machine = await Machine.attach(machineOptions(process, this.#startOptions(signal), ADOPT_MS))
      parts.log.info({ vmi: guest, pid: process.pid }, 'adopted a running guest')
      return 'again'
    } catch (error) {
      if (signal.aborted || !isAlive(process)) return 'again'
      parts.log.warn({ err: error, vmi: guest, pid: process.pid }, 'a running QEMU does not answer')
      record.change({ trouble: NOT_ANSWERING })
    }
    if (!removal) return { waitMs: ADOPT_MS }
    const leftMs = removal.deadlineMs - parts.clock.now()
    if (leftMs > 0) return { waitMs: Math.min(leftMs, ADOPT_MS) }
    await record.keep(endAfter('forced', record.state.acpi))
    return 'again'
  }

  async #look(): Promise<Next> {
    const { record, parts, files } = this.#options
    const { machine } = this
    // Another step may have come in between.
    if (!machine || record.state.removal || isFinal(record.state.phase)) return 'again'
    if (machine.ended) return this.#finish(await endOfMachine(machine, files))
    const seen = await observe(machine, { record, clock: parts.clock, log: parts.log })
    if ('end' in seen) return this.#finish(seen.end)
    return 'again' in seen ? 'again' : seen
  }

  async #finish({ phase, reason, message }: GuestEnd): Promise<Next> {
    const { record } = this.#options
    const happened: Happened = [
      phase === 'Failed' ? 'Warning' : 'Normal',
      'Stopped',
      `VirtualMachineInstance stopped: ${message}.`,
    ]
    await record.keep({
      phase,
      reason,
      message,
      pausedBy: undefined,
      trouble: undefined,
      ...record.withEvents(happened),
    })
    return 'again'
  }

  async #tryStart(): Promise<Next> {
    const { record, parts } = this.#options
    const waitMs = this.#retryAtMs - parts.clock.now()
    if (waitMs > 0) return { waitMs }
    const { request } = this
    if (!request) {
      record.change({ message: 'waiting to be told again what the guest is made of' })
      return {}
    }
    const starting = new AbortController()
    this.#starting = starting
    const signal = AbortSignal.any([starting.signal, this.#closing.signal])
    try {
      this.machine = await startGuest(request, this.#startOptions(signal))
      return 'again'
    } catch (error) {
      return signal.aborted ? 'again' : this.#startFailed(classify(error))
    } finally {
      this.#starting = undefined
    }
  }

  #startOptions(signal: AbortSignal): StartOptions {
    const { parts, record, files, bell } = this.#options
    return { parts, record, files, onChange: () => bell.ring(), signal }
  }

  async #startFailed(failure: GuestFailure): Promise<Next> {
    const { record, parts } = this.#options
    const { guest, trouble } = record.state
    const { retry, message } = failure
    this.#failures += 1
    const failedStarts = record.state.failedStarts + (retry === 'few' ? 1 : 0)
    const isPull = failure.reason === 'ErrImagePull'
    const reason = isPull && this.#failures > 1 ? 'ImagePullBackOff' : failure.reason
    const isLast = retry === 'never' || failedStarts >= TRIES
    const isNews = trouble?.reason !== reason || trouble.message !== message
    const happened: Happened[] = isNews ? [['Warning', reason, message]] : []
    const change = { trouble: { reason, message }, failedStarts, ...record.withEvents(...happened) }
    parts.log.warn({ err: failure, vmi: guest, isLast }, 'a guest does not start')
    if (isLast) {
      await record.keep({ ...change, phase: 'Failed', reason, message })
      return 'again'
    }
    const waitMs = backoffMs(isPull ? PULL_BACKOFF : HOST_BACKOFF, this.#failures)
    this.#retryAtMs = parts.clock.now() + waitMs
    await record.keep({ ...change, message })
    return { waitMs }
  }

  async #remove(): Promise<Next> {
    const { record, parts, files, bell, onGone } = this.#options
    const { signal } = this.#closing
    const { machine } = this
    const deadlineMs = (): number => record.state.removal?.deadlineMs ?? 0
    if (!isFinal(record.state.phase)) {
      const { acpi } = record.state
      const { clock, log } = parts
      const outcome = machine
        ? await shutDownGuest(machine, { clock, log, bell, signal, deadlineMs, acpi })
        : 'never-ran'
      // Before QEMU ends: a worker that comes after a crash would not know why it has.
      await record.keep({
        reason: undefined,
        ...endAfter(outcome, acpi),
        pausedBy: undefined,
        trouble: undefined,
      })
    }
    await this.#letGo()
    await forget(files)
    parts.publish({ type: 'removed', guest: record.state.guest })
    parts.log.info({ vmi: record.state.guest, phase: record.state.phase }, 'guest removed')
    onGone()
    return 'gone'
  }

  /** A guest that has ended keeps its report, and nothing else. */
  async #rest(): Promise<Next> {
    if (!this.#isReleased) await this.#options.turns.run(() => this.#letGo())
    return {}
  }

  async #letGo(): Promise<void> {
    const { record, files } = this.#options
    const { process } = record.state
    if (process) await endQemu(process, this.machine, this.#closing.signal)
    await this.machine?.[Symbol.asyncDispose]()
    this.machine = undefined
    await release(files)
    this.#isReleased = true
    await record.keep({ process: undefined, launch: undefined })
  }
}
