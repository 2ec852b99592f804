import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { wait, type Clock } from '../lib/clock.ts'
import { serviceUnavailable, StatusError, tooManyRequests } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { GOING_AWAY, joinSession, type Session } from './session.ts'

/** What limits sessions. */
export interface SessionLimits {
  /** Open streams of this server; the next one is refused with 429. */
  maxSessions: number
  /** How long open streams may go on when the server closes, in milliseconds. */
  drainMs: number
  /** How often a session's user is checked again, in milliseconds. */
  reviewMs: number
}

/** How rights that could not be checked are asked for again, and how often before the session ends. */
const REVIEW_RETRY_MS = 30_000
const REVIEW_RETRIES = 3
/** How long clients get to answer a Close when the server goes away. */
const CLOSING_MS = 2_000

/** One session to run. */
export interface SessionRequest {
  socket: WebSocket
  guest: Duplex
  /** Throws a `StatusError` 401 or 403 once the user may no longer; anything else: it could not be found out. */
  review: (signal: AbortSignal) => Promise<void>
  /** Who and what, for the log. */
  fields: object
}

/** All open streams of a server. */
export class Sessions {
  readonly #open = new Set<Session>()
  readonly #limits: SessionLimits
  readonly #clock: Clock
  readonly #log: Log
  #isDraining = false

  constructor(limits: SessionLimits, clock: Clock, log: Log) {
    this.#limits = limits
    this.#clock = clock
    this.#log = log
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** Throws 503 while the server goes away, 429 where there are too many. To be asked before a node is dialled. */
  assertRoom(): void {
    if (this.#isDraining) throw serviceUnavailable('the server is going away; connect again')
    if (this.#open.size >= this.#limits.maxSessions) {
      throw tooManyRequests(`this server has ${this.#open.size} open streams and takes no more`, 5)
    }
  }

  /** Runs a session until either side ends it, its user loses the right, or the server goes away. */
  async run({ socket, guest, review, fields }: SessionRequest): Promise<void> {
    const session = joinSession(socket, guest, this.#clock)
    this.#open.add(session)
    const over = new AbortController()
    this.#log.info(fields, 'stream opened')
    const startedAt = this.#clock.now()
    const reviews = this.#keepReviewing(session, review, over.signal)
    const result = await session.result
    over.abort()
    this.#open.delete(session)
    await reviews
    this.#log.info({ ...fields, ...result, durationMs: this.#clock.now() - startedAt }, 'stream closed')
  }

  async #keepReviewing(
    session: Session,
    review: SessionRequest['review'],
    signal: AbortSignal,
  ): Promise<void> {
    let failures = 0
    for (;;) {
      await wait(this.#clock, failures > 0 ? REVIEW_RETRY_MS : this.#limits.reviewMs, signal)
      if (signal.aborted) return
      try {
        await review(signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        if (isDenial(error)) session.end({ code: 1008, reason: 'you may no longer use this stream' })
        else if (failures > REVIEW_RETRIES) {
          this.#log.warn({ err: error }, 'rights of an open stream could not be checked')
          session.end({ code: 1011, reason: 'your rights could not be checked' })
        }
      }
    }
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

function isDenial(error: unknown): boolean {
  return error instanceof StatusError && (error.code === 401 || error.code === 403)
}
