import type { Duplex } from 'node:stream'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { type Clock, wait } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { isMigrating } from '../agent/ask.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import { askAgent } from './ask-agent.ts'
import { type Handler, type Probe, readHandler } from './handler.ts'
import { tryPort } from './try-port.ts'

/** What probing takes. */
export interface ProbesParts {
  record: GuestRecord
  clock: Clock
  log: Log
  /** Connects to a TCP port of the guest; `undefined` where no address of it is known. */
  dial: (machine: Machine, port: number, signal: AbortSignal) => Promise<Duplex | undefined>
  /** Called when the guest has been found dead: look at `failure` then. */
  onFailure: () => void
}

type Kind = 'liveness' | 'readiness'

/** A probe, and how it looks at the guest; a text is why it does not. */
interface Plan {
  probe: Probe
  handler: Handler | string
}

/** A probe that is run. */
interface Running {
  probe: Probe
  handler: Handler
  machine: Machine
  signal: AbortSignal
}

const SECOND_MS = 1_000
/** Between looks at a guest that cannot be probed as it is. */
const STILL_MS = 1_000
const NOT_YET = 'its readiness probe has not succeeded yet'

/**
 * Asks a guest whether it lives and whether it is ready, as its spec says: by a program in it, by its agent, or at one
 * of its ports. The guest that is paused, frozen or on its way to another node is not asked, and nothing is counted
 * against it.
 */
export class Probes implements AsyncDisposable {
  /** Why the guest is taken for dead. */
  failure: string | undefined
  readonly #parts: ProbesParts
  #machine: Machine | undefined
  #plans: Partial<Record<Kind, Plan>> = {}
  #running: { stop: AbortController; done: Promise<unknown> } | undefined

  constructor(parts: ProbesParts) {
    this.#parts = parts
  }

  /** Begins to probe a guest that runs, where its spec asks for it; goes on where nothing has changed. */
  look(machine: Machine, spec: VmiSpec | undefined): void {
    if (!spec || this.#parts.record.state.phase !== 'Running') return
    const plans = this.#readPlans(spec)
    if (this.#machine === machine && isSameJson(plans, this.#plans)) return
    this.#running?.stop.abort()
    this.#machine = machine
    this.#plans = plans
    const stop = new AbortController()
    const { signal } = stop
    const loops = (['liveness', 'readiness'] as const).flatMap((kind) => {
      const { probe, handler } = plans[kind] ?? {}
      if (!probe || handler === undefined) return []
      if (typeof handler === 'string') {
        this.#decline(kind, handler)
        return []
      }
      if (kind === 'readiness') this.#expect()
      return [this.#follow(kind, { probe, handler, machine, signal })]
    })
    this.#running = { stop, done: Promise.all([this.#running?.done, ...loops]) }
  }

  /** The machine is left. */
  async leave(): Promise<void> {
    this.#machine = undefined
    this.#running?.stop.abort()
    await this.#running?.done
    this.#running = undefined
  }

  /** Begins to end the probing. */
  close(): void {
    this.#running?.stop.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave()
  }

  #readPlans(spec: VmiSpec): Partial<Record<Kind, Plan>> {
    const { name } = this.#parts.record.state.guest
    const planOf = (probe: Probe): Plan => ({ probe, handler: readHandler(probe, spec, name) })
    const { livenessProbe, readinessProbe } = spec
    return {
      ...(livenessProbe && { liveness: planOf(livenessProbe) }),
      ...(readinessProbe && { readiness: planOf(readinessProbe) }),
    }
  }

  /** Nobody is to take the guest for ready before its probe has said so. */
  #expect(): void {
    const { record } = this.#parts
    if (!record.state.readiness) record.change({ readiness: { ready: false, message: NOT_YET } })
  }

  /** What is not run is said once, and does not count. */
  #decline(kind: Kind, why: string): void {
    const { record } = this.#parts
    const message = `The ${kind} probe is not run, and counts as passed: ${why}.`
    if (!record.state.events.some((event) => event.message === message))
      record.change(record.withEvents(['Warning', 'ProbeNotSupported', message]))
  }

  async #follow(kind: Kind, running: Running): Promise<void> {
    const { clock } = this.#parts
    const { probe, signal } = running
    const { initialDelaySeconds = 0, periodSeconds = 10, successThreshold = 1, failureThreshold = 3 } = probe
    await wait(clock, initialDelaySeconds * SECOND_MS, signal)
    let passed = 0
    let failed = 0
    while (!signal.aborted && !this.failure) {
      if (this.#isStill()) {
        await wait(clock, STILL_MS, signal)
        continue
      }
      const outcome = await this.#try(running)
      // What was begun before it stood still says nothing.
      if (signal.aborted || this.#isStill()) continue
      if (outcome) {
        const { failure } = outcome
        passed = failure === undefined ? passed + 1 : 0
        failed = failure === undefined ? 0 : failed + 1
        if (passed >= successThreshold) this.#pass(kind)
        if (failure !== undefined && failed >= failureThreshold) this.#fail(kind, failure)
      }
      await wait(clock, periodSeconds * SECOND_MS, signal)
    }
  }

  /** Why it has failed, if it has; nothing where it could not be run, which does not count, as the kubelet has it. */
  async #try(running: Running): Promise<{ failure: string | undefined } | undefined> {
    const { log, record } = this.#parts
    try {
      return { failure: await this.#look(running) }
    } catch (error) {
      if (!running.signal.aborted) log.error({ err: error, vmi: record.state.guest }, 'cannot probe a guest')
      return undefined
    }
  }

  async #look({ probe, handler, machine, signal }: Running): Promise<string | undefined> {
    const { clock, dial } = this.#parts
    const parts = { clock, signal, machine, timeoutSeconds: probe.timeoutSeconds ?? 1 }
    if (handler.type === 'ping') return askAgent(undefined, parts)
    if (handler.type === 'exec') return askAgent(handler.command, parts)
    return tryPort(handler, { ...parts, dial: (...args) => dial(machine, ...args) })
  }

  #pass(kind: Kind): void {
    const { record } = this.#parts
    if (kind === 'readiness' && !record.state.readiness?.ready)
      record.change({ readiness: { ready: true, message: '' } })
  }

  #fail(kind: Kind, why: string): void {
    const { record, onFailure } = this.#parts
    const message = `its ${kind} probe has failed: ${why}`
    if (kind === 'liveness') {
      this.failure = message
      onFailure()
      return
    }
    const { readiness } = record.state
    if (readiness?.ready === false && readiness.message === message) return
    const happened = record.withEvents([
      'Warning',
      'Unhealthy',
      `VirtualMachineInstance is not ready: ${message}.`,
    ])
    record.change({ readiness: { ready: false, message }, ...(readiness?.ready !== false && happened) })
  }

  #isStill(): boolean {
    const { state } = this.#parts.record
    return state.pausedBy !== undefined || state.frozen !== undefined || isMigrating(state)
  }
}
