import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** How much of a log is kept. */
export interface RotationLimits {
  /** Bytes from which on a file makes room for a new one; 0 is never. */
  maxBytes: number
  /** Older files that stay: `FILE.1` is the youngest of them. */
  backups: number
}

/**
 * A log file that makes room for a new one before it grows too long. Each line is with the kernel before `write`
 * returns; files change their names and are never copied, so that a crash at any point loses no line of those that
 * are to stay. Others may rename or cut the file: what follows goes where its name leads.
 *
 * Throws the system's error where it cannot be opened. A line that the file does not take goes to `spare`.
 */
export class RotatingFile {
  readonly #path: string
  readonly #limits: RotationLimits
  readonly #spare: (line: string) => void
  #fd: number

  constructor(path: string, limits: RotationLimits, spare = toStandardError) {
    this.#path = path
    this.#limits = limits
    this.#spare = spare
    mkdirSync(dirname(path), { recursive: true })
    this.#fd = openForAppending(path)
  }

  /** Writes a line, which ends with a newline. */
  write(line: string): void {
    try {
      this.#makeRoom(Buffer.byteLength(line))
      writeAll(this.#fd, Buffer.from(line))
    } catch (error) {
      this.#spare(line)
      this.#spare(`${JSON.stringify({ level: 'error', log: this.#path, msg: String(error) })}\n`)
    }
  }

  #makeRoom(bytes: number): void {
    const open = fstatSync(this.#fd)
    const named = statSync(this.#path, { throwIfNoEntry: false })
    if (named?.ino !== open.ino || named.dev !== open.dev) return this.#reopen()
    const { maxBytes } = this.#limits
    if (maxBytes === 0 || open.size === 0 || open.size + bytes <= maxBytes) return
    fsyncSync(this.#fd)
    this.#shift()
    this.#reopen()
  }

  /** The oldest is overwritten first: a crash in between leaves a gap in the numbers, and all lines. */
  #shift(): void {
    const { backups } = this.#limits
    const nameOf = (number: number): string => (number === 0 ? this.#path : `${this.#path}.${number}`)
    if (backups === 0) return rmSync(this.#path)
    for (let number = backups; number > 0; number -= 1) {
      const younger = nameOf(number - 1)
      if (statSync(younger, { throwIfNoEntry: false })) renameSync(younger, nameOf(number))
    }
  }

  #reopen(): void {
    const next = openForAppending(this.#path)
    closeSync(this.#fd)
    this.#fd = next
  }
}

function openForAppending(path: string): number {
  return openSync(path, 'a', 0o600)
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
}

function toStandardError(line: string): void {
  process.stderr.write(line)
}
