import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { wait, type Clock } from '../lib/clock.ts'
import { gatheringSink } from '../lib/gathering-sink.ts'
import { StreamEnded } from '../lib/stream-end.ts'
import { STREAM_BUFFER_BYTES, type StreamVerdict } from './wire.ts'

/** How long a verdict is kept for the client that asks for it. */
const KEEP_MS = 30_000
const KEEP_AT_MOST = 1000
/** How long a client may take to close its side. */
const CLOSING_MS = 5_000

/** Remembers how streams ended, under ids that cannot be guessed, for whoever was at their other end. */
export class Verdicts implements Disposable {
  readonly #clock: Clock
  readonly #kept = new Map<string, { verdict: StreamVerdict; timer: Disposable }>()
  #emptied: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A new id. */
  next(): string {
    return randomUUID()
  }

  put(id: string, verdict: StreamVerdict): void {
    const timer = this.#clock.after(KEEP_MS, () => this.#kept.delete(id))
    this.#kept.set(id, { verdict, timer })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEEP_AT_MOST) break
      this.take(oldest)
    }
  }

  /** The verdict, which is then forgotten. */
  take(id: string): StreamVerdict | undefined {
    const kept = this.#kept.get(id)
    kept?.timer[Symbol.dispose]()
    this.#kept.delete(id)
    if (this.#kept.size === 0) this.#emptied?.()
    return kept?.verdict
  }

  /** Settles once all were taken, or after so many milliseconds. */
  async whenTaken(limitMs: number): Promise<void> {
    if (this.#kept.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#emptied = resolve
    const taken = new AbortController()
    await Promise.race([promise, wait(this.#clock, limitMs, taken.signal)])
    taken.abort()
  }

  [Symbol.dispose](): void {
    for (const id of this.#kept.keys()) this.take(id)
  }
}

/**
 * Copies bytes between a connection and a guest's stream until either ends, then closes both. What the guest has
 * sent before its end arrives. `onVerdict` is told how the guest's side ended, unless the client was first. Never
 * rejects.
 */
export async function splice(
  socket: Duplex,
  guest: Duplex,
  clock: Clock,
  onVerdict: (verdict: StreamVerdict) => void,
): Promise<void> {
  const toClient = copyToClient(guest, socket)
  const toGuest = copyToGuest(socket, guest)
  // A guest that broke says why in the direction to the client.
  const first = await Promise.race([toClient, toGuest.then((isGone) => (isGone ? 'client' : toClient))])
  if (first !== 'client') onVerdict(first)
  guest.destroy()
  await closeGently(socket, clock)
  await Promise.all([toClient, toGuest])
}

/**
 * As `splice`, but a side that has sent all it had still receives: both are closed once both have ended, or either
 * has broken.
 */
export async function spliceHalves(
  socket: Duplex,
  guest: Duplex,
  clock: Clock,
  onVerdict: (verdict: StreamVerdict) => void,
): Promise<void> {
  socket.allowHalfOpen = true
  const fromGuest = copyToClient(guest, socket).then((verdict) => {
    onVerdict(verdict)
    if (verdict === 'ended') socket.end()
    else guest.destroy()
    return verdict
  })
  const fromClient = pipeline(socket.iterator({ destroyOnReturn: false }), guest).catch(() => {
    // The client has gone without a word, or the guest takes no more: then it says why in the other direction.
    if (socket.destroyed) guest.destroy()
  })
  await Promise.race([Promise.all([fromGuest, fromClient]), brokenOff(fromGuest)])
  guest.destroy()
  await closeGently(socket, clock)
  await Promise.all([fromGuest, fromClient])
}

/** Settles only where the guest did not end by itself. */
async function brokenOff(fromGuest: Promise<StreamVerdict>): Promise<void> {
  if ((await fromGuest) === 'ended') await new Promise(() => {})
}

async function copyToClient(guest: Duplex, socket: Duplex): Promise<StreamVerdict> {
  // Not the socket itself: a guest that breaks must not take along what is still on its way to the client.
  const client = gatheringSink(STREAM_BUFFER_BYTES, (piece, done) => void socket.write(piece, done))
  try {
    await pipeline(guest, client)
    return 'ended'
  } catch (error) {
    return error instanceof StreamEnded ? error.reason : 'broken'
  }
}

/** Settles with whether the client has gone; else it is the guest that takes no more. Never rejects. */
async function copyToGuest(socket: Duplex, guest: Duplex): Promise<boolean> {
  // The iterator leaves the socket open, where the socket itself would be destroyed together with the guest.
  const bytes = socket.iterator({ destroyOnReturn: false })
  try {
    await pipeline(bytes, guest, { end: false })
    return true
  } catch {
    return socket.destroyed
  }
}

/** Closing a socket while bytes of the peer are unread would reset it, and cost the peer what it has not read. */
async function closeGently(socket: Duplex, clock: Clock): Promise<void> {
  if (socket.destroyed) return
  const closed = new AbortController()
  const over = once(socket, 'close').catch(() => [])
  socket.end()
  socket.resume()
  await Promise.race([over, wait(clock, CLOSING_MS, closed.signal)])
  closed.abort()
  socket.destroy()
}
