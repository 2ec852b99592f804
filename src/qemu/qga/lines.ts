import type { Socket } from 'node:net'
import { AgentError, AgentSilent } from './errors.ts'

/** What is waited for. */
export interface Awaited {
  /** Command that it answers, for messages. */
  command: string
  /** Skip all before a mark. */
  afterMark: boolean
  timeoutMs: number
  /** Longest answer in bytes. */
  limitBytes: number
  signal: AbortSignal | undefined
}

/** Byte that begins the answer to `guest-sync-delimited`. */
export const MARK = 0xff
const NEWLINE = 0x0a
/** What an agent may have left over from questions that were given up, before its mark. */
const STALE_LIMIT = 16 * 1024 * 1024

/**
 * The next line that comes. Whatever stands behind it is dropped with the connection, or before the next mark.
 *
 * Throws `AgentSilent` after `timeoutMs`, `AgentError` where the connection ends or too much comes, and the reason of
 * `signal`.
 */
export async function receiveLine(socket: Socket, awaited: Awaited): Promise<Buffer> {
  const { command, timeoutMs, signal } = awaited
  signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const collector = new Collector(awaited)
  const take = (bytes: Buffer): void => {
    const line = collector.take(bytes)
    if (line instanceof Error) reject(line)
    else if (line) resolve(line)
  }
  const fail = (error?: Error): void =>
    reject(new AgentError(command, error?.message ?? 'the connection ended', false, error))
  const ended = (): void => fail()
  const giveUp = (): void => reject(signal?.reason)
  const timer = setTimeout(() => reject(new AgentSilent(command, Math.round(timeoutMs))), timeoutMs)
  socket.on('data', take).once('error', fail).once('close', ended).resume()
  signal?.addEventListener('abort', giveUp, { once: true })
  if (socket.destroyed) ended()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    // Nobody takes what comes until somebody asks again.
    socket.pause()
    socket.off('data', take).off('error', fail).off('close', ended)
    signal?.removeEventListener('abort', giveUp)
  }
}

/** Puts a line together, and keeps no more of what comes than it may be long. */
class Collector {
  readonly #awaited: Awaited
  #parts: Buffer[] = []
  #length = 0
  #skipped = 0
  #isMarked: boolean

  constructor(awaited: Awaited) {
    this.#awaited = awaited
    this.#isMarked = !awaited.afterMark
  }

  take(bytes: Buffer): Buffer | AgentError | undefined {
    const { command, afterMark, limitBytes } = this.#awaited
    const mark = afterMark ? bytes.lastIndexOf(MARK) : -1
    if (mark >= 0) {
      // All before the last mark answers questions that nobody asks any more.
      this.#isMarked = true
      this.#parts = []
      this.#length = 0
    }
    const rest = bytes.subarray(mark + 1)
    if (!this.#isMarked) {
      this.#skipped += rest.length
      return this.#skipped > STALE_LIMIT
        ? new AgentError(command, `it sent ${STALE_LIMIT} bytes that nobody asked for`)
        : undefined
    }
    const end = rest.indexOf(NEWLINE)
    this.#parts.push(end < 0 ? rest : rest.subarray(0, end))
    this.#length += end < 0 ? rest.length : end
    if (this.#length > limitBytes) return new AgentError(command, `its answer is over ${limitBytes} bytes`)
    return end < 0 ? undefined : Buffer.concat(this.#parts)
  }
}
