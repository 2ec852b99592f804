import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { inUse } from '../../lib/in-use.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import type { VncOptions } from '../../rpc/actions.ts'

/** The claim of one session; it has no socket while it is being connected. */
interface Claim {
  user: string
  socket?: Socket
}

/** A session that was opened, and whose it took. */
export interface OpenedDisplay {
  stream: Duplex
  /** Users of sessions that were ended for it, the oldest first. */
  displaced: string[]
}

/** The display of one guest, for as many sessions as are allowed. Source: contract 3.5; security C2. */
export class Display implements Disposable {
  readonly #dial: () => Promise<Socket>
  /** The oldest first. */
  #claims: Claim[] = []

  constructor(dial: () => Promise<Socket>) {
    this.#dial = dial
  }

  /** How many sessions are open, or about to be. */
  get size(): number {
    return this.#claims.length
  }

  /**
   * A new session, in the RFB protocol. Where there are `maxSessions` already it takes over from the oldest once it is
   * connected; with `preserveSession` it is refused instead, with 503. Throws the system's error where QEMU does not
   * answer.
   */
  async open({ preserveSession, maxSessions, user }: VncOptions): Promise<OpenedDisplay> {
    if (preserveSession && this.#claims.length >= maxSessions) {
      throw inUse('Active VNC connection. Request denied.')
    }
    // Claimed in the same tick: of many who would preserve, as many as there are places get one.
    const claim: Claim = { user }
    this.#claims.push(claim)
    try {
      const socket = await this.#dial()
      claim.socket = socket
      socket.on('error', () => {})
      socket.once('close', () => this.#release(claim))
      // Others may have taken this one's place while it was being connected.
      if (!this.#claims.includes(claim)) socket.destroy(new StreamEnded('displaced'))
      return { stream: socket, displaced: this.#makeRoom(maxSessions, claim) }
    } catch (error) {
      // No session was disturbed for it.
      this.#release(claim)
      throw error
    }
  }

  /** Ends the sessions because this process is about to end. */
  drain(): void {
    for (const { socket } of this.#claims) socket?.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#claims) socket?.destroy()
    this.#claims = []
  }

  /** Ends the oldest sessions but `newest`; those that are being connected find out when they are. */
  #makeRoom(maxSessions: number, newest: Claim): string[] {
    const older = this.#claims.slice(0, Math.max(this.#claims.indexOf(newest), 0))
    const ended = older.slice(0, Math.max(this.#claims.length - maxSessions, 0))
    this.#claims = this.#claims.filter((claim) => !ended.includes(claim))
    for (const { socket } of ended) socket?.destroy(new StreamEnded('displaced'))
    return ended.map(({ user }) => user)
  }

  #release(claim: Claim): void {
    this.#claims = this.#claims.filter((other) => other !== claim)
  }
}
