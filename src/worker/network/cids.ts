import { randomInt } from 'node:crypto'

/** 0 to 2 are the hypervisor's and the host's own; the highest of 32 bits means any. Source: vsock(7); security C7. */
const LOWEST = 3
const HIGHEST = 2 ** 31

/**
 * The vsock context ids of this node's guests. They are drawn, and not counted, as other programs on the host may
 * have guests, too.
 */
export class Cids {
  readonly #taken = new Map<string, number>()
  readonly #draw: (from: number, below: number) => number

  /** `draw` answers a random whole number. */
  constructor(draw: (from: number, below: number) => number = randomInt) {
    this.#draw = draw
  }

  /** A new one for a guest, in place of the one it had. */
  take(uid: string): number {
    this.#taken.delete(uid)
    const others = new Set(this.#taken.values())
    let cid = this.#draw(LOWEST, HIGHEST)
    while (others.has(cid)) cid = this.#draw(LOWEST, HIGHEST)
    this.#taken.set(uid, cid)
    return cid
  }

  /** The one that a guest has been running with since before this worker. */
  adopt(uid: string, cid: number | undefined): void {
    if (cid !== undefined) this.#taken.set(uid, cid)
  }

  release(uid: string): void {
    this.#taken.delete(uid)
  }
}
