import { isFinal } from '../../kinds/kubevirt.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { GuestLoad } from '../../qemu/qga/answers.ts'
import type { AgentInfo } from '../../rpc/actions.ts'
import { AgentError } from '../../qemu/qga/agent.ts'
import { UntrustedSocket } from '../files/pin.ts'
import { refuse } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import type { Turns } from '../guest/turns.ts'
import { Execs } from './exec/execs.ts'
import { isDue, isFrozen, markThawed, reconcileFrozen, thaw } from './freeze.ts'
import { Poller } from './poller.ts'
import { infoOf } from './polls.ts'

/** What a guest's agent is looked after with. */
export interface GuestAgentParts {
  record: GuestRecord
  /** Freezing and thawing never overlap with anything else that is done to the guest. */
  turns: Turns
  clock: Clock
  log: Log
}

/** Between tries to thaw, and to ask a new agent whether anything is frozen. */
const RETRY = { baseMs: 5_000, maxMs: 60_000 }

/** Looks after the agent of one guest: what it says is known, and what is frozen thaws when it is time. */
export class GuestAgent implements AsyncDisposable {
  /** Programs that are run in the guest. */
  readonly execs: Execs
  readonly #parts: GuestAgentParts
  readonly #closing = new AbortController()
  #machine: Machine | undefined
  #resets = 0
  #arrival: number | undefined
  #poller: Poller | undefined
  /** An agent has come, and nobody has asked it yet whether anything is frozen. */
  #isUnasked = false
  #failures = 0
  #notBeforeMs = 0
  #timer: Disposable | undefined
  #working: Promise<void> | undefined

  constructor(parts: GuestAgentParts) {
    this.#parts = parts
    this.execs = new Execs(parts)
  }

  /** The machine may have changed: an agent has come or gone, it was reset, or it may be asked again. */
  look(machine: Machine): void {
    if (this.#closing.signal.aborted) return
    if (machine !== this.#machine) this.#resets = machine.resets
    this.#machine = machine
    const arrival = machine.hasAgent ? machine.agentArrivals : undefined
    if (arrival !== this.#arrival || (arrival !== undefined && !this.#poller)) this.#meet(machine, arrival)
    this.#upkeep()
    // Otherwise it is woken when that is done.
    if (!this.#working) this.#poller?.wake()
  }

  /** Whether there is one. */
  hasSpoken(): boolean {
    return this.#poller !== undefined && this.#parts.record.state.agentConnected
  }

  /** What the agent has said last. Throws 409 where there is none. */
  info(): AgentInfo {
    const { guest } = this.#parts.record.state
    if (!this.#poller || !this.hasSpoken()) throw refuse(guest, 'VMI has no guest agent connected')
    return infoOf(this.#poller.facts)
  }

  /** The guest's load, as its agent has said last; `undefined` where it has not, or is not asked as the guest is. */
  load(): GuestLoad | undefined {
    const { pausedBy, frozen } = this.#parts.record.state
    return this.hasSpoken() && !pausedBy && !frozen ? this.#poller?.facts.load : undefined
  }

  /** The machine is left: nothing more is asked of it. */
  async leave(): Promise<void> {
    this.#timer?.[Symbol.dispose]()
    this.#machine = undefined
    this.#arrival = undefined
    await this.#poller?.[Symbol.asyncDispose]()
    this.#poller = undefined
  }

  /** This process is about to end: what fails from now on is no news. */
  close(): void {
    this.#closing.abort()
    this.execs.drain()
    this.#poller?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    await this.leave()
    await this.#working
  }

  /** Another agent has come, or the one there was has gone. */
  #meet(machine: Machine, arrival: number | undefined): void {
    const { record, log } = this.#parts
    this.#poller
      ?.[Symbol.asyncDispose]()
      .catch((error: unknown) => log.error({ err: error }, 'polling ended badly'))
    this.#arrival = arrival
    this.#poller = arrival === undefined ? undefined : new Poller(machine, this.#parts)
    this.#isUnasked = arrival !== undefined
    this.#failures = 0
    this.#notBeforeMs = 0
    if (arrival === undefined && record.state.agent) record.change({ agent: undefined })
  }

  /** Sees to it that nothing stays frozen that should not. */
  #upkeep(): void {
    this.#timer?.[Symbol.dispose]()
    const { clock } = this.#parts
    const dueMs = this.#dueMs()
    if (this.#working || dueMs === undefined || this.#closing.signal.aborted) return
    const waitMs = Math.max(dueMs, this.#notBeforeMs) - clock.now()
    if (waitMs > 0) {
      this.#timer = clock.after(waitMs, () => this.#upkeep())
      return
    }
    this.#working = this.#tryOnce().finally(() => {
      this.#working = undefined
      this.#upkeep()
      this.#poller?.wake()
    })
  }

  /** When something is to be done about what is frozen; `undefined` for nothing, or not as the guest is. */
  #dueMs(): number | undefined {
    const { frozen, pausedBy } = this.#parts.record.state
    const machine = this.#machine
    if (!machine) return undefined
    if (frozen && machine.resets !== this.#resets) return 0
    if (!machine.hasAgent || pausedBy) return undefined
    return this.#isUnasked ? 0 : frozen?.thawAtMs
  }

  async #tryOnce(): Promise<void> {
    const { record, clock, log } = this.#parts
    try {
      await this.#settle()
      this.#failures = 0
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#failures += 1
      this.#notBeforeMs = clock.now() + backoffMs(RETRY, this.#failures)
      const level = error instanceof AgentError || error instanceof UntrustedSocket ? 'warn' : 'error'
      if (this.#failures === 1 || level === 'error')
        log[level](
          { err: error, vmi: record.state.guest },
          'cannot see whether a guest is frozen, or thaw it',
        )
    }
  }

  async #settle(): Promise<void> {
    const { record, clock, turns, log } = this.#parts
    const machine = this.#machine
    if (!machine) return
    const isSame = (): boolean => this.#machine === machine && !isFinal(record.state.phase)
    if (machine.resets !== this.#resets) {
      // A guest that boots has nothing frozen.
      const { resets } = machine
      await turns.run(async () => isSame() && markThawed(record))
      this.#resets = resets
    } else if (this.#isUnasked) {
      // Nobody has to wait where there is nothing to be done, which is nearly always.
      if ((await isFrozen(machine)) || record.state.frozen) {
        await turns.run(async () => isSame() && reconcileFrozen({ machine, record }, { clock, log }))
      }
      if (!record.state.frozen) await this.execs.sweep(machine)
      this.#isUnasked = false
    } else {
      await turns.run(async () => isSame() && this.#thawIfDue(machine))
    }
  }

  async #thawIfDue(machine: Machine): Promise<void> {
    const { record, clock, log } = this.#parts
    const { frozen, guest } = record.state
    if (!frozen || !isDue(frozen, clock)) return
    await thaw({ machine, record })
    log.info({ vmi: guest }, 'a frozen guest has thawed, as its time was up')
    const message = 'VirtualMachineInstance thawed: its time was up.'
    await record.keep(record.withEvents(['Normal', 'Unfrozen', message]))
  }
}
