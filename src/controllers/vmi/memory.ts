import type { Vmi } from '../../kinds/kubevirt.ts'
import type { GuestEvent } from '../../rpc/actions.ts'
import type { PlacedGuest } from '../placement/situation.ts'

/** What was told to a node, and in which of its sessions. */
export interface Told {
  what: string
  session: number
  /** When it is to be told again, in milliseconds since 1970; never where absent. */
  untilMs?: number
}

/** What this process remembers of a guest. All of it may be lost: it saves work, and decides nothing. */
interface Remembered {
  told: Map<string, Told>
  /** Ids of the node's events that have been recorded. */
  events?: Set<string>
}

/** What may have been told: what the guest is to be; on which node it is to be removed, or let go of. */
type Telling = 'synced' | `${'removed' | 'settled'} ${string}`

/** Remembers, by the UID of each VMI, what has been done already. */
export class GuestMemory {
  readonly #guests = new Map<string, Remembered>()
  /** Nodes just chosen, which the cache may not show yet, by the UID of the VMI or of its migration. */
  readonly #chosen = new Map<string, PlacedGuest>()
  readonly #startedMs: number

  /** `startedMs`: when this process began; the one before it has recorded the events of earlier. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs
  }

  wasTold(uid: string, action: Telling, told: Told, nowMs: number): boolean {
    const before = this.#guests.get(uid)?.told.get(action)
    if (before?.what !== told.what || before.session !== told.session) return false
    return before.untilMs === undefined || nowMs < before.untilMs
  }

  tell(uid: string, action: Telling, told: Told): void {
    this.#of(uid).told.set(action, told)
  }

  /** Those of a guest's events that have not been recorded yet; they count as recorded from now on. */
  newEvents(uid: string, events: readonly GuestEvent[]): GuestEvent[] {
    const guest = this.#of(uid)
    const recorded = guest.events
    guest.events = new Set(events.map(({ id }) => id))
    return events.filter(({ id, time }) =>
      recorded ? !recorded.has(id) : !(Date.parse(time) < Math.floor(this.#startedMs / 1000) * 1000),
    )
  }

  choose(uid: string, nodeName: string, vmi: Vmi): void {
    this.#chosen.set(uid, { nodeName, vmi })
  }

  unchoose(uid: string): void {
    this.#chosen.delete(uid)
  }

  /** Guests that a node was just chosen for, but for those that `isKnown`. */
  chosen(isKnown: (uid: string, nodeName: string) => boolean): PlacedGuest[] {
    return [...this.#chosen].filter(([uid, { nodeName }]) => !isKnown(uid, nodeName)).map(([, one]) => one)
  }

  forget(uid: string): void {
    this.#guests.delete(uid)
    this.#chosen.delete(uid)
  }

  #of(uid: string): Remembered {
    const present = this.#guests.get(uid)
    if (present) return present
    const guest: Remembered = { told: new Map() }
    this.#guests.set(uid, guest)
    return guest
  }
}
