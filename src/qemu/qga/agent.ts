import { randomInt } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { isRecord } from '../../lib/json.ts'
import { formatExact } from '../../lib/exact-json.ts'
import { AgentError, AgentSilent } from './errors.ts'
import { MARK, receiveLine } from './lines.ts'
import { BadReply, parseReply } from './reply.ts'

export { AgentError } from './errors.ts'

/** How long to wait for an agent. */
export interface AskOptions {
  /** For the command alone; 5 s where absent. */
  timeoutMs?: number
  /** Longest answer; 1 MiB where absent. */
  limitBytes?: number
  signal?: AbortSignal | undefined
}

const SYNC_MS = 3_000
const SYNC_TRIES = 16
const COMMAND_MS = 5_000
/** A refusal comes at once. */
const SHUTDOWN_MS = 1_000
/** What a guest says is bounded: everything in it is chosen by the guest. Source: security F5. */
const REPLY_LIMIT = 1024 * 1024

/** A connection to the agent in a guest, which answers one question at a time. */
export class AgentSession implements Disposable {
  readonly #socket: Socket
  /** The next line that comes is the answer to the next question. */
  #isInOrder = false

  /** `path` is QEMU's socket, of which nobody else may be a client: QEMU serves one. */
  constructor(path: string) {
    this.#socket = createConnection(path)
    // Those who wait listen as well; nobody does between two of them.
    this.#socket.on('error', () => {})
  }

  /**
   * Asks one question, and answers what the agent returns. Before the first one, and after one that was given up, it
   * finds the place in the stream where answers to abandoned questions end.
   *
   * Throws `AgentError`, `AgentSilent`, and the reason of `signal`.
   * Source: contract 2.14; https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
   */
  async ask(command: string, args?: object, options: AskOptions = {}): Promise<unknown> {
    const { timeoutMs = COMMAND_MS, limitBytes = REPLY_LIMIT, signal } = options
    if (!this.#isInOrder) await this.#synchronize(command, signal)
    this.#isInOrder = false
    this.#send(command, args)
    const line = await receiveLine(this.#socket, { command, afterMark: false, timeoutMs, limitBytes, signal })
    const answer = read(command, line)
    this.#isInOrder = true
    if (isRecord(answer.error)) throw new AgentError(command, String(answer.error.desc), true)
    return answer.return
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  async #synchronize(command: string, signal: AbortSignal | undefined): Promise<void> {
    const sync = 'guest-sync-delimited'
    const id = randomInt(2 ** 31)
    // The mark makes the agent forget half a line that came before.
    this.#socket.write(Buffer.from([MARK]))
    this.#send(sync, { id })
    const endMs = performance.now() + SYNC_MS
    // Whoever was connected before may have gone while it did the same: its answer comes first, with a mark as well.
    for (let tries = 0; tries < SYNC_TRIES; tries += 1) {
      const line = await receiveLine(this.#socket, {
        command: sync,
        afterMark: true,
        timeoutMs: Math.max(1, endMs - performance.now()),
        limitBytes: REPLY_LIMIT,
        signal,
      })
      if (read(sync, line).return === id) return
    }
    throw new AgentError(command, 'it does not keep its answers in order')
  }

  #send(execute: string, args?: object): void {
    this.#socket.write(`${formatExact({ execute, ...(args && { arguments: args }) })}\n`)
  }
}

/**
 * Asks the agent in a guest one question, over QEMU's socket at `path`, on a connection of its own.
 *
 * Only ask where an agent is known to listen: QEMU keeps what is sent to none. Throws as `AgentSession.ask`.
 */
export async function askAgent(
  path: string,
  command: string,
  args?: object,
  options?: AskOptions,
): Promise<unknown> {
  using agent = new AgentSession(path)
  return await agent.ask(command, args, options)
}

/**
 * Has the agent shut the guest down or reboot it. An agent that does so never answers, so that silence is success.
 * Throws `AgentError` where it refuses or is not there.
 */
export async function shutDownByAgent(
  path: string,
  mode: 'powerdown' | 'reboot',
  signal?: AbortSignal,
): Promise<void> {
  try {
    await askAgent(path, 'guest-shutdown', { mode }, { timeoutMs: SHUTDOWN_MS, signal })
  } catch (error) {
    if (!(error instanceof AgentSilent) || error.command !== 'guest-shutdown') throw error
  }
}

function read(command: string, line: Buffer): Record<string, unknown> {
  let message: unknown
  try {
    message = parseReply(line)
  } catch (error) {
    throw error instanceof BadReply ? new AgentError(command, error.message, false, error) : error
  }
  if (!isRecord(message)) throw new AgentError(command, 'its answer is no JSON object')
  return message
}
