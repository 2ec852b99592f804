import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { serviceUnavailable } from '../../lib/errors.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import type { VncOptions } from '../../rpc/actions.ts'

/** The claim of one session; it has no socket while it is being connected. */
interface Claim {
  socket?: Socket
}

/** The display of one guest, for one session at a time. Source: contract 3.5; security C2. */
export class Display implements Disposable {
  readonly #dial: () => Promise<Socket>
  #claim: Claim | undefined

  constructor(dial: () => Promise<Socket>) {
    this.#dial = dial
  }

  /**
   * A new session, in the RFB protocol. It takes over from the one before once it is connected; with
   * `preserveSession` it is refused instead, with 503. Throws the system's error where QEMU does not answer.
   */
  async open({ preserveSession }: VncOptions): Promise<Duplex> {
    if (preserveSession && this.#claim) {
      throw serviceUnavailable('Active VNC connection. Request denied.')
    }
    // Claimed in the same tick: of many who would preserve, one wins.
    const before = this.#claim
    const claim: Claim = {}
    this.#claim = claim
    try {
      const socket = await this.#dial()
      claim.socket = socket
      socket.on('error', () => {})
      socket.once('close', () => this.#release(claim))
      if (this.#claim === claim) before?.socket?.destroy(new StreamEnded('displaced'))
      else socket.destroy(new StreamEnded('displaced'))
      return socket
    } catch (error) {
      // The session before was not disturbed.
      if (this.#claim === claim) this.#claim = before?.socket?.destroyed ? undefined : before
      throw error
    }
  }

  /** Ends the session because this process is about to end. */
  drain(): void {
    this.#claim?.socket?.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    this.#claim?.socket?.destroy()
    this.#claim = undefined
  }

  #release(claim: Claim): void {
    if (this.#claim === claim) this.#claim = undefined
  }
}
