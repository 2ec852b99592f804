import { isFinal } from '../../kinds/kubevirt.ts'
import type { IncomingRequest, SyncRequest } from '../../rpc/actions.ts'
import { isHeld } from '../fence/hold.ts'
import type { GuestFiles } from '../files/paths.ts'
import { abandonBackup, tendBackup } from '../backup/tend.ts'
import { tendTaps } from '../network/bridge/tend.ts'
import { tendGuest } from '../hotplug/tend.ts'
import { describeFailure } from '../migration/failure.ts'
import { Mover } from '../migration/mover.ts'
import * as moves from '../migration/state.ts'
import { adoptGuest } from './adopt.ts'
import { arrive, outcomeOf } from './arrival.ts'
import { Crew, type CrewOptions } from './crew.ts'
import { type GuestEnd, keepEnd } from './end.ts'
import { classify } from './failure.ts'
import { forget, release } from './leave.ts'
import type { Machine } from './machine.ts'
import { observe } from './observe.ts'
import type { StartOptions } from './start.ts'
import { Starter } from './starter.ts'
import { soonest, type Wait } from './soonest.ts'
import { shutDownForGood } from './shut-down.ts'
import { endQemu } from './stop.ts'

/** What a guest lives by. */
export interface LifeOptions extends CrewOptions {
  files: GuestFiles
  onGone: () => void
}

/** What to do after a step: look again, at once or at the next ring or after a time; or nothing any more. */
type Next = 'again' | 'gone' | { waitMs?: number }

/** A guest that may not be started yet is looked at again after so long. */
const CUT_OFF_MS = 5_000
const STUMBLE_MS = 5_000
/** A guest that is being sent and is to be removed has so long to come back. */
const COME_BACK_MS = 10_000

/**
 * The life of one guest. It looks at what is wanted and what there is, takes one step from there towards what is
 * wanted, and looks again; so it goes on from wherever a crash, a failure or a change of mind has left it.
 */
export class Life implements AsyncDisposable {
  /** What the guest is to be, as far as this worker has been told since it started. */
  request: SyncRequest | undefined
  /** The guest that is to come from another node, as far as this worker has been told since it started. */
  incoming: IncomingRequest | undefined
  /** The QEMU that we are connected to, and what goes along with it. */
  readonly crew: Crew
  readonly #options: LifeOptions
  readonly #mover: Mover
  readonly #closing = new AbortController()
  readonly #starter: Starter
  #isReleased = false
  #running: Promise<void> = Promise.resolve()

  constructor(options: LifeOptions) {
    this.#options = options
    const { record, parts, files } = options
    this.#starter = new Starter({ parts, record, closing: this.#closing.signal })
    this.#mover = new Mover({ record, files, clock: parts.clock, log: parts.log })
    this.crew = new Crew(options)
  }

  /** Begins; resolves when there is nothing to be done at once. */
  async start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = this.#run(resolve)
    await promise
  }

  /** Something else is wanted: what is being done about a guest that does not run yet is dropped. */
  startOver(): void {
    this.#starter.startOver()
    this.#options.bell.ring()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.crew.close()
    await this.#running
    await this.crew[Symbol.asyncDispose]()
  }

  async #run(onCalm: () => void): Promise<void> {
    const { bell } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      // Starting and stopping take their time; whoever waits for calm waits for adoption alone.
      const { launch, phase, removal } = this.#options.record.state
      if (!launch || isFinal(phase) || (this.crew.machine && removal)) onCalm()
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
    if (!this.crew.machine && state.launch && !isFinal(state.phase)) return this.#adopt()
    if (state.removal && !this.#isComingBack()) return this.#options.turns.run(() => this.#remove())
    if (isFinal(state.phase)) return this.#rest()
    if (this.crew.machine) return this.#options.turns.run(() => this.#look())
    if (moves.isArriving(state.migration)) return this.#receive(state.migration)
    // It runs elsewhere, and what was left of it here has ended.
    if (moves.isHandedOver(state.migration)) return {}
    return this.#tryStart()
  }

  async #adopt(): Promise<Next> {
    const adopted = await adoptGuest({ ...this.#startOptions(), signal: this.#closing.signal })
    if (adopted === 'again') return 'again'
    if ('end' in adopted) return this.#finish(adopted.end)
    if (!('machine' in adopted)) return adopted
    this.crew.machine = adopted.machine
    return 'again'
  }

  async #look(): Promise<Next> {
    const { record, parts, files } = this.#options
    const { machine } = this.crew
    // Another step may have come in between.
    const isLeaving = record.state.removal && !this.#isComingBack()
    if (!machine || isLeaving || isFinal(record.state.phase)) return 'again'
    if (machine.ended) return this.#ended(machine)
    const step = await this.#mover.step(machine)
    if (step === 'again') return 'again'
    if (step && 'end' in step) return this.#finish(step.end)
    if (step && 'notArrived' in step) return this.#notArrived(step.notArrived)
    if (step && !step.observe) return step
    const seen = await observe(machine, {
      record,
      clock: parts.clock,
      log: parts.log,
      isHeld: () => isHeld(files),
      mayRun: () => !this.#isCutOff(),
    })
    if ('end' in seen) return this.#finish(seen.end)
    if (step) return 'again' in seen ? 'again' : soonest(seen, step)
    const failure = this.crew.look(machine, this.request)
    if (failure) return this.#finish({ phase: 'Failed', reason: 'LivenessProbeFailed', message: failure })
    if ('again' in seen) return 'again'
    const backup = await tendBackup({ machine, record, files, clock: parts.clock })
    const net = await tendTaps(machine.tapWatch, { record, ...parts })
    return soonest(seen, backup, net, await this.#tendVolumes(machine))
  }

  async #tendVolumes(machine: Machine): Promise<Wait> {
    const { record, parts, files } = this.#options
    const { request } = this
    if (!request || record.state.phase !== 'Running') return {}
    return tendGuest({ machine, record, parts, files, request, signal: this.#closing.signal })
  }

  /** QEMU is gone. */
  async #ended(machine: Machine): Promise<Next> {
    const { record, files } = this.#options
    const outcome = await outcomeOf(machine, record, files)
    if ('end' in outcome) return this.#finish(outcome.end)
    if ('notArrived' in outcome) return this.#notArrived(outcome.notArrived)
    await this.crew.leave()
    await record.keep({ process: undefined, launch: undefined })
    return 'again'
  }

  /** Whether a guest that is to be removed is still being sent: it is taken back first. */
  #isComingBack(): boolean {
    const { record, parts } = this.#options
    const { migration, removal } = record.state
    if (!removal || !this.crew.machine || this.crew.machine.ended || moves.isElsewhere(migration))
      return false
    return moves.isSending(migration) && parts.clock.now() < removal.deadlineMs + COME_BACK_MS
  }

  /** A guest from another node: makes ready for it, or says why it will not come. */
  async #receive(move: moves.IncomingState): Promise<Next> {
    const { record } = this.#options
    const { incoming } = this
    this.#isReleased = false
    const arrived = await arrive(move, incoming, this.#starter, this.#startOptions())
    if ('end' in arrived) return this.#finish(arrived.end)
    if ('notArrived' in arrived) return this.#notArrived(arrived.notArrived)
    if ('waiting' in arrived) {
      if (arrived.waiting !== undefined) record.change({ message: arrived.waiting })
      return {}
    }
    this.crew.machine = arrived.machine
    this.request ??= incoming?.sync
    return 'again'
  }

  /** Only once no QEMU is left it is said that the guest has not come: it never will. */
  async #notArrived(error: unknown): Promise<Next> {
    const { record, parts } = this.#options
    const { guest, migration } = record.state
    parts.log.warn({ err: error, vmi: guest, migration: migration?.uid }, 'a guest did not arrive')
    await this.#letGo()
    this.incoming = undefined
    if (migration) {
      const failed = moves.fail(migration, describeFailure(error), parts.clock)
      await record.keep({ migration: failed, message: undefined })
    }
    return 'again'
  }

  async #finish(end: GuestEnd): Promise<Next> {
    const { record, parts } = this.#options
    await keepEnd(end, record, parts.clock)
    return 'again'
  }

  /** Whether the guest may be running elsewhere by now. */
  #isCutOff(): boolean {
    const { record, parts } = this.#options
    return record.state.failover !== undefined && parts.fence.isCutOff()
  }

  async #tryStart(): Promise<Next> {
    const { record } = this.#options
    if (this.#isCutOff()) {
      record.change({ message: 'waiting until a controller is heard of' })
      return { waitMs: CUT_OFF_MS }
    }
    const tried = await this.#starter.try(this.request, this.#startOptions())
    if (tried === 'again' || !('machine' in tried)) return tried
    this.crew.machine = tried.machine
    return 'again'
  }

  #startOptions(): Omit<StartOptions, 'signal'> {
    const { parts, record, files, bell } = this.#options
    return { parts, record, files, onChange: () => bell.ring() }
  }

  async #remove(): Promise<Next> {
    const { record, parts, files, bell, onGone } = this.#options
    const { phase, migration } = record.state
    if (!isFinal(phase) && !moves.isElsewhere(migration))
      await shutDownForGood(this.crew.machine, { parts, record, bell, signal: this.#closing.signal })
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
    const { record, parts, files } = this.#options
    const { process } = record.state
    if (process) await endQemu(process, this.crew.machine, this.#closing.signal)
    await this.crew.leave()
    await abandonBackup(record, parts.clock)
    await parts.taps.remove(record.state.taps ?? [])
    await release(files)
    this.#isReleased = true
    await record.keep({ process: undefined, launch: undefined, taps: undefined })
  }
}
