import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { inUse } from '../../lib/in-use.ts'
import { StreamEnded } from '../../lib/stream-end.ts'

/** The places of one guest for USB devices that a client brings along; each for one client. Source: security C7. */
export class UsbSlots implements Disposable {
  readonly #dial: (slot: number) => Promise<Socket>
  /** Slot → its client; `undefined` while that is being connected. */
  readonly #taken = new Map<number, Socket | undefined>()
  #isClosed = false

  constructor(dial: (slot: number) => Promise<Socket>) {
    this.#dial = dial
  }

  /** How many are taken. */
  get size(): number {
    return this.#taken.size
  }

  /**
   * Takes the first of `count` slots that is free, and gives it back when the stream is closed. Throws 503 where all are
   * taken, and the system's error where QEMU does not answer.
   */
  async open(count: number): Promise<Duplex> {
    // Claimed in the same tick: no slot goes to two.
    const slot = Array.from({ length: count }, (_, index) => index).find((index) => !this.#taken.has(index))
    if (slot === undefined) {
      throw inUse(`all ${count} USB redirection slots of the guest are in use: end one of the other sessions`)
    }
    this.#taken.set(slot, undefined)
    try {
      const socket = await this.#dial(slot)
      socket.on('error', () => {})
      socket.once('close', () => this.#taken.delete(slot))
      this.#taken.set(slot, socket)
      if (this.#isClosed) socket.destroy()
      return socket
    } catch (error) {
      this.#taken.delete(slot)
      throw error
    }
  }

  /** Ends the sessions because this process is about to end. */
  drain(): void {
    for (const socket of this.#taken.values()) socket?.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    for (const socket of this.#taken.values()) socket?.destroy()
  }
}
