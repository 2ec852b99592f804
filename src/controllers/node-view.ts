import { keyOf } from '../kinds/meta.ts'
import type { GuestRef, GuestReport, NodeUpdate } from '../rpc/actions.ts'

/** What is known of a guest on a node. */
export interface GuestView {
  report: GuestReport
  /** The node has forgotten it; `report` is the last it said. */
  gone: boolean
}

/** Whether a node is being listened to. */
export interface Connection {
  connected: boolean
  /** When that began, in milliseconds since 1970. */
  sinceMs: number
  /** Counts connections: what was told in an earlier session may have to be told again. */
  session: number
}

/** All that one node has said of its guests. */
export class NodeView {
  #connection: Connection
  readonly #guests = new Map<string, GuestView>()

  constructor(nowMs: number) {
    this.#connection = { connected: false, sinceMs: nowMs, session: 0 }
  }

  get connection(): Connection {
    return this.#connection
  }

  guest(uid: string): GuestView | undefined {
    return this.#guests.get(uid)
  }

  /** Guests on this node that have that VMI's namespace and name. */
  named(key: string): GuestView[] {
    return [...this.#guests.values()].filter(({ report }) => keyOf(report.guest) === key)
  }

  /** Takes in one update; returns the guests it is about. */
  apply(update: NodeUpdate, nowMs: number): GuestRef[] {
    switch (update.type) {
      case 'snapshot':
        return this.#replace(update.guests, nowMs)
      case 'report':
        this.#guests.set(update.guest.guest.uid, { report: update.guest, gone: false })
        return [update.guest.guest]
      case 'removed':
        this.#markGone(update.guest.uid)
        return [update.guest]
      case 'heartbeat':
        break
    }
    return []
  }

  /**
   * Takes in the answer of a call, unless the watch has told something newer since `seen` was read. The two come
   * on different ways, so an answer may be older than what was heard meanwhile.
   */
  absorb(report: GuestReport, seen: GuestView | undefined): void {
    const { uid } = report.guest
    if (this.#guests.get(uid) === seen) this.#guests.set(uid, { report, gone: false })
  }

  forget(uid: string): void {
    this.#guests.delete(uid)
  }

  disconnect(nowMs: number): void {
    if (!this.#connection.connected) return
    this.#connection = { ...this.#connection, connected: false, sinceMs: nowMs }
  }

  #replace(reports: readonly GuestReport[], nowMs: number): GuestRef[] {
    this.#connection = { connected: true, sinceMs: nowMs, session: this.#connection.session + 1 }
    const present = new Set(reports.map(({ guest }) => guest.uid))
    for (const uid of this.#guests.keys()) if (!present.has(uid)) this.#markGone(uid)
    for (const report of reports) this.#guests.set(report.guest.uid, { report, gone: false })
    return [...this.#guests.values()].map(({ report }) => report.guest)
  }

  #markGone(uid: string): void {
    const view = this.#guests.get(uid)
    if (view) this.#guests.set(uid, { ...view, gone: true })
  }
}
