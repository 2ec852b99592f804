const BLOCK_BYTES = 16 * 1024

/**
 * Bytes that wait, packed: a serial port gives them one at a time, and a buffer object for each would take a hundred
 * times the memory. Those that come in large pieces are kept as they come.
 */
export class Backlog {
  #blocks: Buffer[] = []
  /** Bytes of the last block that are in use. */
  #used = BLOCK_BYTES
  #length = 0

  /** How many wait. */
  get length(): number {
    return this.#length
  }

  append(bytes: Buffer): void {
    this.#length += bytes.length
    if (bytes.length >= BLOCK_BYTES) {
      this.#shorten()
      this.#blocks.push(bytes)
      return
    }
    for (let rest = bytes; rest.length > 0;) {
      if (this.#used === BLOCK_BYTES) {
        this.#blocks.push(Buffer.allocUnsafeSlow(BLOCK_BYTES))
        this.#used = 0
      }
      const copied = rest.copy(this.#blocks.at(-1)!, this.#used)
      this.#used += copied
      rest = rest.subarray(copied)
    }
  }

  /** The oldest ones, 16 KiB or as they were appended; `undefined` where none wait. */
  take(): Buffer | undefined {
    if (this.#blocks.length === 1) this.#shorten()
    const bytes = this.#blocks.shift()
    this.#length -= bytes?.length ?? 0
    return bytes
  }

  /** Of the last block, only what is in use stays. */
  #shorten(): void {
    const last = this.#blocks.pop()
    if (last) this.#blocks.push(this.#used === BLOCK_BYTES ? last : last.subarray(0, this.#used))
    this.#used = BLOCK_BYTES
  }
}
