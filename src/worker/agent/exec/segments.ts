import { isRecord } from '../../../lib/json.ts'
import { AgentError } from '../../../qemu/qga/agent.ts'
import { bytesOf, type Talk } from './talk.ts'

type Handle = number | bigint

const READ_BYTES = 64 * 1024
/** A part has at least so many bytes before the next one begins: it takes so many writes. Source: `RUN`. */
const LEAST_BYTES = 64

/** Reads what a program prints, part after part, while it does. Source: `RUN` in `scripts.ts`. */
export class Segments {
  readonly #prefix: string
  #index = 0
  #bytes = 0
  #handle: Handle | undefined
  #next: Handle | undefined
  /** An answer has got lost, and what it brought with it: where the agent stands in the file is not known. */
  #isAstray = false

  /** `prefix` is the path of the parts, up to their numbers. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** What has come since, at most 64 KiB; nothing where there is none yet. Throws as `Talk`. */
  async read(talk: Talk, isOver: boolean): Promise<Buffer> {
    this.#handle ??= await open(talk, this.#path(this.#index), 'r')
    if (this.#handle === undefined) return EMPTY
    const bytes = await this.#take(talk, this.#handle)
    if (bytes.length > 0) return bytes
    if (!isOver && this.#bytes < LEAST_BYTES) return EMPTY
    this.#next ??= await open(talk, this.#path(this.#index + 1), 'r')
    if (this.#next === undefined) return EMPTY
    // Only now it is certain that nothing will be added to it; something may have been since.
    const last = await this.#take(talk, this.#handle)
    if (last.length > 0) return last
    await this.#advance(talk, this.#next)
    return this.read(talk, isOver)
  }

  /** Lets go of the files. Throws as `Talk`. */
  async close(talk: Talk): Promise<void> {
    const handles = [this.#handle, this.#next]
    this.#handle = undefined
    this.#next = undefined
    for (const handle of handles) {
      if (handle !== undefined) await talk('guest-file-close', { handle })
    }
  }

  /** On to the next part. The one before is emptied, which lets the program go on. */
  async #advance(talk: Talk, next: Handle): Promise<void> {
    const before = this.#path(this.#index)
    if (this.#handle !== undefined) await talk('guest-file-close', { handle: this.#handle })
    this.#handle = next
    this.#next = undefined
    this.#index += 1
    this.#bytes = 0
    const emptied = await open(talk, before, 'w')
    if (emptied !== undefined) await talk('guest-file-close', { handle: emptied })
  }

  async #take(talk: Talk, handle: Handle): Promise<Buffer> {
    if (this.#isAstray) await talk('guest-file-seek', { handle, offset: this.#bytes, whence: 0 })
    this.#isAstray = true
    const answer = await talk('guest-file-read', { handle, count: READ_BYTES })
    this.#isAstray = false
    const bytes = isRecord(answer) ? bytesOf(answer['buf-b64']).subarray(0, READ_BYTES) : EMPTY
    this.#bytes += bytes.length
    return bytes
  }

  #path(index: number): string {
    return `${this.#prefix}.${index}`
  }
}

const EMPTY = Buffer.alloc(0)

/** A short file; `undefined` where there is none. Throws as `Talk`. */
export async function readText(talk: Talk, path: string): Promise<string | undefined> {
  const handle = await open(talk, path, 'r')
  if (handle === undefined) return undefined
  const answer = await talk('guest-file-read', { handle, count: READ_BYTES })
  await talk('guest-file-close', { handle })
  return isRecord(answer) ? bytesOf(answer['buf-b64']).toString('utf8') : undefined
}

/** `undefined` where there is no such file, or none yet. */
async function open(talk: Talk, path: string, mode: 'r' | 'w'): Promise<Handle | undefined> {
  try {
    const handle = await talk('guest-file-open', { path, mode })
    if (typeof handle === 'number' || typeof handle === 'bigint') return handle
    throw new AgentError('guest-file-open', 'it answers without a handle')
  } catch (error) {
    if (error instanceof AgentError && error.refused) return undefined
    throw error
  }
}
