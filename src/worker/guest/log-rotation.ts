import { copyFile, stat, truncate } from 'node:fs/promises'
import type { Log } from '../../lib/log.ts'

/** Bytes of a log that the guest can make grow, before it is put aside. Source: contract 3.4. */
const LIMIT = 2 * 1024 * 1024

/**
 * Keeps a log that QEMU appends to from filling the disk: one older part is kept. QEMU goes on writing to the same
 * file, so that what it writes between copying and emptying is lost.
 */
export class LogRotation {
  readonly #file: string
  readonly #log: Log
  /** The worker may just have started: the size is not known. */
  #grown = LIMIT
  #busy = false

  constructor(file: string, log: Log) {
    this.#file = file
    this.#log = log
  }

  /** The log has grown by so many bytes. */
  grew(bytes: number): void {
    this.#grown += bytes
    if (this.#grown < LIMIT || this.#busy) return
    this.#grown = 0
    this.#busy = true
    this.#rotate()
      .catch((error: unknown) =>
        this.#log.warn({ err: error, file: this.#file }, 'cannot put a console log aside'),
      )
      .finally(() => (this.#busy = false))
  }

  async #rotate(): Promise<void> {
    const { size } = await stat(this.#file)
    this.#grown = size
    if (size < LIMIT) return
    await copyFile(this.#file, `${this.#file}.1`)
    await truncate(this.#file)
    this.#grown = 0
  }
}
