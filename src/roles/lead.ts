import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { ReadinessCheck } from '../http/readiness.ts'
import { systemClock, wait } from '../lib/clock.ts'
import { LEADER_LEASE } from '../kinds/installation.ts'
import type { ElectionTimes, Leadership } from '../lib/leadership.ts'
import type { Log } from '../lib/log.ts'
import { openInformer } from '../store/informer.ts'
import { LeaderElection, type Term } from '../store/leader-election.ts'
import type { Store } from '../store/store.ts'
import { aborted } from './command-options.ts'

/** Until it is tried again to begin, where that has failed. */
const RETRY_MS = 2_000

/** What a process is that leads from time to time. */
export interface LeadOptions {
  store: Store
  /** Where the Lease is. */
  namespace: string
  times: ElectionTimes
  log: Log
}

/** A process that leads from time to time. */
export class Lead implements Leadership, AsyncDisposable {
  readonly #election: LeaderElection
  readonly #stop = new AbortController()
  readonly #log: Log
  readonly #identity = `${hostname()}_${randomUUID()}`
  #term: Term | undefined
  #leading: Promise<void> = Promise.resolve()

  constructor({ store, namespace, times, log }: LeadOptions) {
    this.#log = log
    this.#election = new LeaderElection({
      ...times,
      store,
      openInformer,
      namespace,
      name: LEADER_LEASE,
      identity: this.#identity,
      clock: systemClock,
      log,
      random: Math.random,
    })
  }

  epoch(): number | undefined {
    return this.#term?.epoch()
  }

  /** Whether this process could take the lead: it knows who has it. */
  isReady(): boolean {
    return this.#election.leader() !== undefined
  }

  /** From now on does `work` whenever we lead; it is ended before anybody else can have taken over. */
  start(work: (signal: AbortSignal) => Promise<AsyncDisposable>): void {
    this.#leading = this.#lead(work)
  }

  /** Ready is also who waits to lead. */
  check(): ReadinessCheck {
    return {
      name: 'leader-election',
      missing: async () =>
        this.#election.leader() === undefined ? `nobody holds the Lease ${LEADER_LEASE}` : undefined,
      note: () => {
        const leader = this.#election.leader()
        return leader === this.#identity ? `this process leads (${leader})` : `${leader} leads`
      },
    }
  }

  /** Lets go of the Lease once the work has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#leading
    await this.#election[Symbol.asyncDispose]()
  }

  async #lead(work: (signal: AbortSignal) => Promise<AsyncDisposable>): Promise<void> {
    for await (const term of this.#election.terms(this.#stop.signal)) {
      this.#term = term
      try {
        await using _working = await work(term.signal)
        await aborted(term.signal)
      } catch (error) {
        if (term.signal.aborted) continue
        this.#log.error({ err: error }, 'what a leader does could not be begun')
        await wait(systemClock, RETRY_MS, this.#stop.signal)
      }
    }
  }
}
