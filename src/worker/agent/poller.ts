import type { Clock } from '../../lib/clock.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { AgentError, AgentSession } from '../../qemu/qga/agent.ts'
import { UntrustedSocket } from '../files/pin.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import { isMigrating } from './ask.ts'
import { GaveWay } from './lane.ts'
import { type AgentFacts, FREEZE_STATUS, mayAsk, NOTHING, type Poll, POLLS, reportOf } from './polls.ts'

/** What polling takes. */
export interface PollerParts {
  record: GuestRecord
  clock: Clock
  log: Log
}

/** The first time between two questions; it doubles up to the question's own. */
const FIRST_MS = 10_000
/** Urgent questions come one after the other. */
const GIVE_WAY_MS = 500
/** An agent that is silent, floods or talks nonsense is asked less and less. */
const BAD_AGENT = { baseMs: 10_000, maxMs: 300_000 }

interface Schedule {
  poll: Poll
  dueMs: number
  everyMs: number
}

/**
 * Asks a guest's agent the same questions again and again, in the background, for as long as one machine has the same
 * agent, and remembers the answers. Source: contract worker-qemu 2.14.
 */
export class Poller implements AsyncDisposable {
  readonly #machine: Machine
  readonly #parts: PollerParts
  readonly #closing = new AbortController()
  readonly #schedule: Schedule[]
  #facts: AgentFacts = NOTHING
  #failures = 0
  #notBeforeMs = 0
  #timer: Disposable | undefined
  #running: Promise<void> | undefined

  constructor(machine: Machine, parts: PollerParts) {
    this.#machine = machine
    this.#parts = parts
    const dueMs = parts.clock.now()
    this.#schedule = POLLS.map((poll) => ({ poll, dueMs, everyMs: Math.min(FIRST_MS, poll.periodMs) }))
  }

  get facts(): AgentFacts {
    return this.#facts
  }

  /** Asks what is due, if the guest may be asked now. */
  wake(): void {
    if (this.#closing.signal.aborted || this.#running) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    const { clock } = this.#parts
    const due = this.#wanted().map(({ dueMs }) => dueMs)
    if (due.length === 0) return
    const waitMs = Math.max(Math.min(...due), this.#notBeforeMs) - clock.now()
    if (waitMs > 0) {
      this.#timer = clock.after(waitMs, () => this.wake())
      return
    }
    this.#running = this.#round().finally(() => {
      this.#running = undefined
      this.wake()
    })
  }

  /** Begins to end the asking. */
  close(): void {
    this.#closing.abort()
    this.#timer?.[Symbol.dispose]()
  }

  /** Ends the asking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    await this.#running
  }

  /** Questions that may be asked as the guest is. */
  #wanted(): Schedule[] {
    const { state } = this.#parts.record
    if (!this.#machine.hasAgent || state.pausedBy || state.frozen || isMigrating(state)) return []
    // Nobody but itself tells when a guest thaws that somebody else has frozen; the agent refuses all else until then.
    if (state.agent?.frozen) return this.#schedule.filter(({ poll }) => poll.command === FREEZE_STATUS)
    return this.#schedule.filter(({ poll }) => mayAsk(this.#facts, poll))
  }

  async #round(): Promise<void> {
    const { clock, log, record } = this.#parts
    try {
      for (const each of this.#schedule) {
        if (!this.#wanted().includes(each) || each.dueMs > clock.now()) continue
        await this.#ask(each)
      }
      this.#failures = 0
    } catch (error) {
      if (this.#closing.signal.aborted) return
      if (error instanceof GaveWay) {
        this.#notBeforeMs = clock.now() + GIVE_WAY_MS
        return
      }
      this.#failures += 1
      this.#notBeforeMs = clock.now() + backoffMs(BAD_AGENT, this.#failures)
      // The first one only: a guest must not fill the log.
      if (this.#failures > 1) return
      const level = error instanceof AgentError || error instanceof UntrustedSocket ? 'info' : 'error'
      log[level]({ err: error, vmi: record.state.guest }, 'cannot ask a guest agent')
    }
  }

  async #ask(each: Schedule): Promise<void> {
    const { poll } = each
    const { signal } = this.#closing
    try {
      const answer = await this.#machine.withIdleAgent(async (path, leave) => {
        using agent = new AgentSession(path)
        return await agent.ask(poll.command, undefined, { signal: AbortSignal.any([signal, leave]) })
      })
      this.#take(poll.take(this.#facts, answer))
    } catch (error) {
      // It does not know the question, or not now.
      if (!(error instanceof AgentError && error.refused)) throw error
    }
    each.dueMs = this.#parts.clock.now() + each.everyMs
    each.everyMs = Math.min(each.everyMs * 2, poll.periodMs)
  }

  #take(facts: AgentFacts): void {
    this.#facts = facts
    const { record } = this.#parts
    const report = reportOf(facts)
    if (!isSameJson(report, record.state.agent)) record.change({ agent: report })
  }
}
