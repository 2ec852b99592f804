import type { Lease } from '../kinds/core.ts'
import { selectOne } from '../kinds/meta.ts'
import { LEASES } from '../kinds/table.ts'
import { formatMicroTime } from '../kinds/worker-lease.ts'
import { wait, type Clock } from '../lib/clock.ts'
import { hasReason } from '../lib/errors.ts'
import type { ElectionTimes } from '../lib/leadership.ts'
import type { Log } from '../lib/log.ts'
import type { OpenInformer } from './cache.ts'
import type { Store } from './store.ts'

/** What a candidate is made from. */
export interface ElectionOptions extends ElectionTimes {
  store: Store
  openInformer: OpenInformer
  /** The Lease that candidates share. */
  namespace: string
  name: string
  /** Who we are: of this process alone. */
  identity: string
  clock: Clock
  log: Log
  /** In [0, 1); spreads attempts. */
  random: () => number
}

/** A time in which we lead. */
export interface Term {
  /** Its number, above those of all terms before; `undefined` once we may not act as leader any more. */
  epoch(): number | undefined
  /** Aborts when the term is over, or is to end. */
  signal: AbortSignal
}

/** The first second that epochs count from: those of a Lease made anew are above those of one that was deleted. */
const BASE_MS = Date.UTC(2026, 0, 1)
/** Source: client-go, `JitterFactor`. */
const JITTER = 1.2

/**
 * A candidate for the leadership that a Lease stands for, by the rules of client-go's `leaderelection`: whoever finds the
 * Lease unchanged for its duration takes it; clocks are never compared between candidates. Throws `RangeError` for times
 * that contradict each other.
 */
export class LeaderElection implements AsyncDisposable {
  readonly #options: ElectionOptions
  readonly #following: AsyncDisposable
  #observed: { lease: Lease; atMs: number } | undefined
  #wake: () => void = () => {}

  constructor(options: ElectionOptions) {
    assertTimes(options)
    this.#options = options
    this.#following = this.#follow()
  }

  /** Who leads, as far as we have heard. */
  leader(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity || undefined
  }

  /**
   * The terms in which we lead, one after the other, until `stop` aborts. The next begins, and the Lease is let go of, when
   * the caller asks for the next: what it does as leader has to have ended by then.
   */
  async *terms(stop: AbortSignal): AsyncGenerator<Term, void, void> {
    const { log, identity } = this.#options
    for (;;) {
      const begun = await this.#acquire(stop)
      if (!begun) return
      log.info({ identity, epoch: begun.epoch }, 'this process leads')
      const tenure = new Tenure(begun, this.#options)
      const renewing = this.#renew(tenure)
      try {
        yield { epoch: () => tenure.epoch(), signal: AbortSignal.any([tenure.lost, stop]) }
      } finally {
        tenure.finish()
        await renewing
        await this.#release(tenure)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following[Symbol.asyncDispose]()
  }

  async #acquire(stop: AbortSignal): Promise<Begun | undefined> {
    const { clock, retryMs, random, log } = this.#options
    while (!stop.aborted) {
      const awake = new AbortController()
      this.#wake = () => awake.abort()
      const startedMs = clock.now()
      try {
        const lease = await this.#take()
        if (lease) return { epoch: lease.spec?.leaseTransitions ?? 0, startedMs }
      } catch (error) {
        if (!isRace(error)) log.warn({ err: error }, 'the leadership cannot be asked for')
      }
      await wait(clock, retryMs * (1 + JITTER * random()), AbortSignal.any([awake.signal, stop]))
    }
    return undefined
  }

  /** Makes the Lease ours where it is nobody's, or nobody renews it. */
  async #take(): Promise<Lease | undefined> {
    const { store, namespace, name, identity, clock } = this.#options
    const lease = await store.get(LEASES, namespace, name)
    const now = formatMicroTime(clock.now())
    const ours = { ...this.#held(now), acquireTime: now }
    if (!lease) {
      const leaseTransitions = Math.max(1, Math.floor((clock.now() - BASE_MS) / 1000))
      return this.#saw(
        await store.create(LEASES, {
          apiVersion: 'coordination.k8s.io/v1',
          kind: LEASES.kind,
          metadata: { namespace, name },
          spec: { ...ours, leaseTransitions },
        }),
      )
    }
    this.#saw(lease)
    if (lease.spec?.holderIdentity !== identity && this.#isHeld(lease)) return undefined
    // Each term has a number of its own, also where we had the one before.
    const leaseTransitions = (lease.spec?.leaseTransitions ?? 0) + 1
    return this.#saw(await store.update(LEASES, { ...lease, spec: { ...ours, leaseTransitions } }))
  }

  #isHeld({ spec }: Lease): boolean {
    const { clock, leaseMs } = this.#options
    if (!spec?.holderIdentity || !this.#observed) return false
    const durationMs = spec.leaseDurationSeconds === undefined ? leaseMs : spec.leaseDurationSeconds * 1000
    return clock.now() < this.#observed.atMs + durationMs
  }

  /** Renews the Lease until the term is finished, somebody else has the Lease, or it has not worked for too long. */
  async #renew(tenure: Tenure): Promise<void> {
    const { clock, retryMs, store, namespace, name, log } = this.#options
    for (;;) {
      await wait(clock, retryMs, tenure.over)
      if (tenure.over.aborted) return
      const startedMs = clock.now()
      try {
        const lease = await tenure.unlessOver(store.get(LEASES, namespace, name))
        if (!lease || !this.#isOurs(lease, tenure)) return tenure.lose('another process has the Lease')
        const spec = { ...lease.spec, ...this.#held(formatMicroTime(startedMs)) }
        this.#saw(await tenure.unlessOver(store.update(LEASES, { ...lease, spec })))
        tenure.renewed(startedMs)
      } catch (error) {
        if (tenure.over.aborted) return
        if (!isRace(error)) log.warn({ err: error }, 'the leadership cannot be renewed')
      }
    }
  }

  /** Lets the next one take over at once. */
  async #release(tenure: Tenure): Promise<void> {
    const { store, namespace, name, clock, log } = this.#options
    if (tenure.epoch() === undefined) return
    tenure.lose('it is let go of')
    try {
      const lease = await store.get(LEASES, namespace, name)
      if (!lease || !this.#isOurs(lease, tenure)) return
      const now = formatMicroTime(clock.now())
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now }
      await store.update(LEASES, { ...lease, spec })
    } catch (error) {
      log.warn({ err: error }, 'the leadership could not be let go of; it ends by itself')
    }
  }

  #isOurs({ spec }: Lease, { number }: Tenure): boolean {
    return spec?.holderIdentity === this.#options.identity && spec.leaseTransitions === number
  }

  #held(renewTime: string) {
    const { identity, leaseMs } = this.#options
    return { holderIdentity: identity, leaseDurationSeconds: Math.ceil(leaseMs / 1000), renewTime }
  }

  #saw(lease: Lease): Lease {
    const before = this.#observed?.lease.metadata.resourceVersion
    if (before !== lease.metadata.resourceVersion) this.#observed = { lease, atMs: this.#options.clock.now() }
    return lease
  }

  /** Tries at once when the Lease is let go of, rather than at the next attempt. */
  #follow(): AsyncDisposable {
    const { store, openInformer, namespace, name, clock, log } = this.#options
    const informer = openInformer(store, LEASES, selectOne({ namespace, name }), { clock, log })
    informer.onChange((_before, after) => {
      if (after) this.#saw(after)
      if (!after?.spec?.holderIdentity) this.#wake()
    })
    return informer
  }
}

interface Begun {
  epoch: number
  /** When the request that won was sent: others count from later on. */
  startedMs: number
}

/** What is known of our own term. */
class Tenure {
  readonly number: number
  readonly #options: ElectionOptions
  readonly #lost = new AbortController()
  readonly #finished = new AbortController()
  readonly over: AbortSignal
  #untilMs = 0
  #timer: Disposable | undefined

  constructor({ epoch, startedMs }: Begun, options: ElectionOptions) {
    this.number = epoch
    this.#options = options
    this.over = AbortSignal.any([this.#lost.signal, this.#finished.signal])
    this.renewed(startedMs)
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Looked at by the clock, and not only by timers: a process that was stopped for a while must not act on. */
  epoch(): number | undefined {
    const isLeading = !this.#lost.signal.aborted && this.#options.clock.now() < this.#untilMs
    return isLeading ? this.number : undefined
  }

  renewed(startedMs: number): void {
    const { clock, renewMs } = this.#options
    this.#untilMs = startedMs + renewMs
    this.#timer?.[Symbol.dispose]()
    this.#timer = clock.after(this.#untilMs - clock.now(), () => this.lose('it could not be renewed in time'))
  }

  lose(why: string): void {
    this.#timer?.[Symbol.dispose]()
    if (this.over.aborted) return this.#lost.abort()
    this.#lost.abort()
    this.#options.log.warn({ epoch: this.number, why }, 'this process does not lead any more')
  }

  finish(): void {
    this.#finished.abort()
  }

  /** What is asked for, unless the term ends before; an API that does not answer must not hold us. */
  async unlessOver<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>()
    const abort = (): void => reject(new Error('the term is over'))
    this.over.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([work, promise])
    } finally {
      this.over.removeEventListener('abort', abort)
    }
  }
}

function assertTimes({ leaseMs, renewMs, retryMs }: ElectionTimes): void {
  if (leaseMs <= renewMs) throw new RangeError('a lease has to last longer than the time to renew it')
  if (renewMs <= retryMs * JITTER)
    throw new RangeError('the time to renew a lease has to allow for two attempts')
}

function isRace(error: unknown): boolean {
  return hasReason(error, 'Conflict', 'AlreadyExists')
}
