import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { refusedSubject } from '../kinds/kind.ts'
import { VMIS } from '../kinds/table.ts'
import { badRequest, notFound, serviceUnavailable } from '../lib/errors.ts'
import type { GuestRef, GuestReport, SyncRequest } from '../rpc/actions.ts'
import { syncFolder } from './files/durable.ts'
import { errnoOf } from './files/errno.ts'
import { guestFiles } from './files/paths.ts'
import { Guest } from './guest/guest.ts'
import { type GuestState, newState, readState, UnreadableState } from './guest/state.ts'
import type { Tap } from './network/bridge/tap.ts'
import type { WorkerParts } from './parts.ts'

/** The guests of a worker. */
export class Guests implements AsyncDisposable {
  readonly #parts: WorkerParts
  readonly #guests = new Map<string, Guest>()
  /** Guests that are just being written down, so that nobody does it twice. */
  readonly #arriving = new Map<string, Promise<Guest>>()
  #isClosing = false

  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  /** Takes on the guests that an earlier worker has left; resolves when it is known how they are. */
  async load(): Promise<void> {
    const { dirs, log } = this.#parts
    const starts: Promise<void>[] = []
    const taps: Tap[] = []
    let areKnown = true
    for (const entry of await readdir(dirs.stateDir, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue
      try {
        const state = await readState(join(dirs.stateDir, entry.name, 'state.json'))
        if (!state) continue
        taps.push(...(state.taps ?? []))
        starts.push(this.#admit(this.#make(state, entry.name), entry.name))
      } catch (error) {
        if (!(error instanceof UnreadableState)) throw error
        log.error({ err: error }, 'a guest is left alone')
        areKnown = false
      }
    }
    // Any could be of a guest that is left alone.
    if (areKnown) await this.#parts.taps.sweep(taps)
    await Promise.all(starts)
  }

  /** The guest. Throws 404 where there is none. */
  get({ uid, name }: GuestRef): Guest {
    const guest = this.#guests.get(uid)
    if (!guest) throw notFound(refusedSubject(VMIS), name)
    return guest
  }

  /**
   * The guest of a request, which is written down where it is new, `fresh` with it. Throws 400 for an epoch that is none,
   * 503 where the worker is about to end.
   */
  async getOrCreate({ vmi, epoch }: SyncRequest, fresh: Partial<GuestState> = {}): Promise<Guest> {
    const { uid, namespace, name } = vmi.metadata
    if (!Number.isSafeInteger(epoch)) throw badRequest(`${epoch} is no epoch`)
    const known = this.#guests.get(uid) ?? this.#arriving.get(uid)
    if (known) return known
    // Nobody would take leave of it.
    if (this.#isClosing) throw serviceUnavailable('the worker of this node is about to end: try again')
    const arriving = this.#create({ ...newState({ uid, namespace, name }, epoch), ...fresh })
    this.#arriving.set(uid, arriving)
    try {
      return await arriving
    } finally {
      this.#arriving.delete(uid)
    }
  }

  /** All of them. */
  list(): Guest[] {
    return [...this.#guests.values()]
  }

  /** What is known of all of them. */
  reports(): GuestReport[] {
    return [...this.#guests.values()].map(({ report }) => report)
  }

  /** Leaves the guests running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    await Promise.allSettled(this.#arriving.values())
    await Promise.all([...this.#guests.values()].map((guest) => guest[Symbol.asyncDispose]()))
    this.#guests.clear()
  }

  async #create(state: GuestState): Promise<Guest> {
    const { dirs } = this.#parts
    const { uid } = state.guest
    await mkdir(guestFiles(dirs, uid).stateDir, { mode: 0o711 }).catch((error: unknown) => {
      // What a crash has left of one that was forgotten, or of one that was never written down.
      if (errnoOf(error) !== 'EEXIST') throw error
    })
    const guest = this.#make(state, uid)
    await guest.save()
    await syncFolder(dirs.stateDir)
    await this.#admit(guest, uid)
    return guest
  }

  #make(state: GuestState, uid: string): Guest {
    return new Guest(state, this.#parts, {
      onGone: () => this.#forget(uid),
      others: () => [...this.#guests].flatMap(([other, { taps }]) => (other === uid ? [] : taps)),
    })
  }

  #forget(uid: string): void {
    this.#guests.delete(uid)
    this.#parts.cids.release(uid)
  }

  async #admit(guest: Guest, uid: string): Promise<void> {
    this.#guests.set(uid, guest)
    this.#parts.cids.adopt(uid, guest.report.status.VSOCKCID)
    await guest.start()
  }
}
