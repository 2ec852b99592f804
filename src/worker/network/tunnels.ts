import type { Duplex } from 'node:stream'
import { serviceUnavailable } from '../../lib/errors.ts'
import { StreamEnded } from '../../lib/stream-end.ts'
import { UdpListeners } from './udp-listeners.ts'

/** Connections into one guest at the same time. */
const LIMIT = 256

/** The connections into one guest that are open. */
export class Tunnels implements Disposable {
  readonly listeners = new UdpListeners()
  readonly #open = new Set<Duplex>()
  #dialling = 0

  /** Dials and keeps the connection until it closes. Throws 503 where too many are open, and what `dial` throws. */
  async open(dial: () => Promise<Duplex>): Promise<Duplex> {
    if (this.#open.size + this.#dialling >= LIMIT) {
      throw serviceUnavailable(`${LIMIT} connections into the guest are open already: close some first`)
    }
    this.#dialling += 1
    try {
      const stream = await dial()
      this.#keep(stream)
      return stream
    } finally {
      this.#dialling -= 1
    }
  }

  /** Ends them because this process is about to end. */
  drain(): void {
    for (const stream of this.#open) stream.destroy(new StreamEnded('draining'))
  }

  [Symbol.dispose](): void {
    for (const stream of this.#open) stream.destroy()
  }

  #keep(stream: Duplex): void {
    this.#open.add(stream)
    // Whoever it is handed to may not listen yet.
    stream.on('error', () => {})
    stream.once('close', () => this.#open.delete(stream))
    if (stream.destroyed) this.#open.delete(stream)
  }
}
