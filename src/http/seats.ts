import { tooManyRequests } from '../lib/errors.ts'
import type { ServerWatch } from '../metrics/server.ts'

/** How many streams may be open at the same time; the next one is refused with 429. Source: security H4. */
export interface SeatLimits {
  /** On this server. */
  maxSessions: number
  /** Of one user. */
  maxSessionsPerUser: number
  /** To one VM. */
  maxSessionsPerVmi: number
}

/** Whose stream it is and where it leads. */
export interface SeatRequest {
  user: string
  namespace: string
  name: string
  /** Such as `console`; counted for metrics. */
  kind: string
}

/** A stream's place among those that are open; it is taken from before the node is dialled until it has closed. */
export type Seat = Disposable

const RETRY_AFTER_SECONDS = 5

/** Counts open streams, and those that are being dialled. */
export class Seats {
  readonly #limits: SeatLimits
  readonly #watch: Pick<ServerWatch, 'refusedStream'> | undefined
  readonly #byUser = new Map<string, number>()
  readonly #byVmi = new Map<string, number>()
  readonly #byKind = new Map<string, number>()
  #taken = 0

  constructor(limits: SeatLimits, watch?: Pick<ServerWatch, 'refusedStream'>) {
    this.#limits = limits
    this.#watch = watch
  }

  /** Open streams by kind. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#byKind)
  }

  /** Takes a place at once, so that no two can take the last one. Throws 429 where there is none. */
  take({ user, namespace, name, kind }: SeatRequest): Seat {
    const { maxSessions, maxSessionsPerUser, maxSessionsPerVmi } = this.#limits
    const vmi = `${namespace}/${name}`
    const places = [
      ['server', this.#taken, maxSessions, 'this server has'],
      ['user', this.#byUser.get(user) ?? 0, maxSessionsPerUser, 'you have'],
      ['vmi', this.#byVmi.get(vmi) ?? 0, maxSessionsPerVmi, 'this VirtualMachineInstance has'],
    ] as const
    for (const [limit, taken, most, whose] of places) {
      if (taken < most) continue
      this.#watch?.refusedStream(kind, limit)
      throw tooManyRequests(`${whose} ${taken} open streams, and no more are allowed`, RETRY_AFTER_SECONDS)
    }
    const counters = [
      [this.#byUser, user],
      [this.#byVmi, vmi],
      [this.#byKind, kind],
    ] as const
    this.#taken += 1
    for (const [counter, key] of counters) add(counter, key, 1)
    let isTaken = true
    return {
      [Symbol.dispose]: () => {
        if (!isTaken) return
        isTaken = false
        this.#taken -= 1
        for (const [counter, key] of counters) add(counter, key, -1)
      },
    }
  }
}

function add(counter: Map<string, number>, key: string, change: number): void {
  const count = (counter.get(key) ?? 0) + change
  if (count > 0) counter.set(key, count)
  else counter.delete(key)
}
