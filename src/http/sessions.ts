import { wait, type Clock } from '../lib/clock.ts'
import { serviceUnavailable } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { ServerWatch } from '../metrics/server.ts'
import { watchRight, type LostRight, type Reviews } from './reviews.ts'
import { Seats, type Seat, type SeatLimits, type SeatRequest } from './seats.ts'
import {
  GOING_AWAY,
  joinSession,
  type Session,
  type SessionEnd,
  type SessionParts,
  type SessionResult,
} from './session.ts'

/** What limits sessions. */
export interface SessionLimits extends SeatLimits {
  /** How long open streams may go on when the server closes, in milliseconds. */
  drainMs: number
  /** How often a session's user is checked again, in milliseconds. */
  reviewMs: number
}

/** How long clients get to answer a Close when the server goes away. */
const CLOSING_MS = 2_000

const LOST: Record<LostRight, SessionEnd> = {
  denied: { code: 1008, reason: 'you may no longer use this stream', why: 'right_lost' },
  unknown: { code: 1011, reason: 'your rights could not be checked', why: 'right_lost' },
}

/** One session to run. */
export type SessionRequest = Omit<SessionParts, 'clock'> &
  Pick<Reviews, 'review'> & {
    /** Such as `console`. */
    kind: string
  }

/** What sessions are run with. */
export interface SessionsOptions {
  limits: SessionLimits
  clock: Clock
  log: Log
  watch?: ServerWatch | undefined
}

/** All open streams of a server. */
export class Sessions {
  readonly #open = new Set<Session>()
  readonly #seats: Seats
  readonly #limits: SessionLimits
  readonly #clock: Clock
  readonly #log: Log
  readonly #watch: ServerWatch | undefined
  #isDraining = false

  constructor({ limits, clock, log, watch }: SessionsOptions) {
    this.#seats = new Seats(limits, watch)
    this.#limits = limits
    this.#clock = clock
    this.#log = log
    this.#watch = watch
  }

  /** Open streams by kind, such as `console`. */
  counts(): Record<string, number> {
    return this.#seats.counts()
  }

  /**
   * A place for one more, to be taken before a node is dialled and given back when the stream has closed. Throws 503
   * while the server goes away, 429 where there are too many.
   */
  takeSeat(request: SeatRequest): Seat {
    if (this.#isDraining) {
      this.#watch?.refusedStream(request.kind, 'draining')
      throw serviceUnavailable('the server is going away; connect again')
    }
    return this.#seats.take(request)
  }

  /** Runs a session until either side ends it, its user loses the right, or the server goes away. */
  async run({ review, kind, ...parts }: SessionRequest): Promise<SessionResult> {
    const session = joinSession({ ...parts, clock: this.#clock })
    this.#open.add(session)
    const ended = this.#watch?.openedStream(kind, () => session.bytes)
    const over = new AbortController()
    const watching = this.watchRight(review, over.signal).then((lost) => lost && session.end(LOST[lost]))
    const result = await session.result
    over.abort()
    this.#open.delete(session)
    ended?.(result.why)
    await watching
    return result
  }

  /** Resolves once a right is lost, or with `undefined` once `signal` aborts. */
  watchRight(review: Reviews['review'], signal: AbortSignal): Promise<LostRight | undefined> {
    const { reviewMs: everyMs } = this.#limits
    return watchRight({ review, everyMs, clock: this.#clock, log: this.#log }, signal)
  }

  /** Takes no new session, lets the open ones go on for the drain time, then closes them. */
  async drain(): Promise<void> {
    this.#isDraining = true
    await this.#allEnded(this.#limits.drainMs)
    for (const session of this.#open) session.end(GOING_AWAY)
    await this.#allEnded(CLOSING_MS)
  }

  async #allEnded(limitMs: number): Promise<void> {
    const late = new AbortController()
    const ended = Promise.all([...this.#open].map(({ result }) => result))
    await Promise.race([ended, wait(this.#clock, limitMs, late.signal)])
    late.abort()
  }
}
