import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { type Clock, wait } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { AgentError } from '../../qemu/qga/agent.ts'
import { UntrustedSocket } from '../files/pin.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import { ask, isMigrating } from './ask.ts'
import { runOnce } from './exec/run-once.ts'

/** A probe as the VMI has it. */
export type Probe = NonNullable<VmiSpec['livenessProbe']>

/** What probing takes. */
export interface ProbesParts {
  record: GuestRecord
  clock: Clock
  log: Log
  /** Called when the guest has been found dead: look at `failure` then. */
  onFailure: () => void
}

type Kind = 'liveness' | 'readiness'

const SECOND_MS = 1_000
/** Between looks at a guest that cannot be probed as it is. */
const STILL_MS = 1_000
const NOT_YET = 'its readiness probe has not succeeded yet'

/**
 * Asks a guest whether it lives and whether it is ready, as its spec says: by a program in it, or by its agent. The
 * guest that is paused, frozen or on its way to another node is not asked, and nothing is counted against it.
 */
export class Probes implements AsyncDisposable {
  /** Why the guest is taken for dead. */
  failure: string | undefined
  readonly #parts: ProbesParts
  #machine: Machine | undefined
  #probes: Record<Kind, Probe | undefined> = { liveness: undefined, readiness: undefined }
  #running: { stop: AbortController; done: Promise<unknown> } | undefined

  constructor(parts: ProbesParts) {
    this.#parts = parts
  }

  /** Begins to probe a guest that runs, where its spec asks for it; goes on where nothing has changed. */
  look(machine: Machine, spec: VmiSpec | undefined): void {
    if (!spec || this.#parts.record.state.phase !== 'Running') return
    const probes = { liveness: spec.livenessProbe, readiness: spec.readinessProbe }
    if (this.#machine === machine && isSameJson(probes, this.#probes)) return
    this.#running?.stop.abort()
    this.#machine = machine
    this.#probes = probes
    const stop = new AbortController()
    const loops = (['liveness', 'readiness'] as const).flatMap((kind) => {
      const probe = probes[kind]
      return probe && this.#mayRun(kind, probe)
        ? [this.#follow(kind, probe, { machine, signal: stop.signal })]
        : []
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

  /** Whether it is one of those that are run; what is not is said once, and does not count. */
  #mayRun(kind: Kind, probe: Probe): boolean {
    const { record } = this.#parts
    if (probe.guestAgentPing || probe.exec?.command?.length) {
      if (kind === 'readiness' && !record.state.readiness)
        record.change({ readiness: { ready: false, message: NOT_YET } })
      return true
    }
    const message = `The ${kind} probe is not run, and counts as passed: this node runs exec and guestAgentPing probes.`
    if (!record.state.events.some((event) => event.message === message))
      record.change(record.withEvents(['Warning', 'ProbeNotSupported', message]))
    return false
  }

  async #follow(kind: Kind, probe: Probe, on: { machine: Machine; signal: AbortSignal }): Promise<void> {
    const { clock, log, record } = this.#parts
    const { signal } = on
    const { initialDelaySeconds = 0, periodSeconds = 10, successThreshold = 1, failureThreshold = 3 } = probe
    await wait(clock, initialDelaySeconds * SECOND_MS, signal)
    let passed = 0
    let failed = 0
    while (!signal.aborted && !this.failure) {
      if (this.#isStill()) {
        await wait(clock, STILL_MS, signal)
        continue
      }
      const why = await this.#try(probe, on).catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error, vmi: record.state.guest }, 'cannot probe a guest')
        return 'it could not be run'
      })
      // What was begun before it stood still says nothing.
      if (signal.aborted || this.#isStill()) continue
      passed = why === undefined ? passed + 1 : 0
      failed = why === undefined ? 0 : failed + 1
      if (passed >= successThreshold) this.#pass(kind)
      if (why !== undefined && failed >= failureThreshold) this.#fail(kind, why)
      await wait(clock, periodSeconds * SECOND_MS, signal)
    }
  }

  /** Why it has failed; `undefined` where it has passed. */
  async #try(
    probe: Probe,
    { machine, signal }: { machine: Machine; signal: AbortSignal },
  ): Promise<string | undefined> {
    const { clock } = this.#parts
    const { exec, timeoutSeconds = 1 } = probe
    const timeoutMs = timeoutSeconds * SECOND_MS
    if (!machine.hasAgent) return 'no guest agent is connected'
    try {
      if (!exec?.command) {
        await ask(machine, 'guest-ping', {}, { timeoutMs, signal })
        return undefined
      }
      const code = await runOnce(machine, exec.command, { timeoutMs, clock, signal })
      if (code === undefined) return `it has not ended within ${timeoutSeconds} s`
      return code === 0 ? undefined : `it has ended with ${code}`
    } catch (error) {
      if (error instanceof AgentError || error instanceof UntrustedSocket) return error.message
      throw error
    }
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
