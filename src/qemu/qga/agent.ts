import { randomInt } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { isRecord } from '../../lib/json.ts'
import { formatMessage, parseMessage } from '../qmp/json.ts'

/** The guest's agent refused a command, answered nonsense, or not at all. */
export class AgentError extends Error {
  /** The agent itself said no; otherwise it is silent or does not speak the protocol. */
  readonly refused: boolean

  constructor(command: string, why: string, refused = false, cause?: unknown) {
    super(`guest agent: ${command}: ${why}`, cause === undefined ? undefined : { cause })
    this.name = 'AgentError'
    this.refused = refused
  }
}

/** How long to wait for an agent. */
export interface AskOptions {
  /** For the command alone; 5 s where absent. */
  timeoutMs?: number
  signal?: AbortSignal
}

const SYNC_MS = 3_000
const COMMAND_MS = 5_000
/** A refusal comes at once. */
const SHUTDOWN_MS = 1_000
/** What a guest says is bounded: everything in it is chosen by the guest. Source: security F5. */
const REPLY_LIMIT = 1024 * 1024
const MARK = 0xff
const NEWLINE = 0x0a

/**
 * Asks the agent in a guest, over QEMU's socket at `path`, and answers what it returns.
 *
 * Each question has a connection of its own, which begins by finding the place in the stream where answers to
 * earlier, abandoned questions end. Only ask where an agent is known to listen: QEMU keeps what is sent to none.
 * Throws `AgentError` and the reason of `signal`.
 * Source: contract 2.14; https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
 */
export async function askAgent(
  path: string,
  command: string,
  args?: object,
  { timeoutMs = COMMAND_MS, signal }: AskOptions = {},
): Promise<unknown> {
  const socket = createConnection(path)
  // Those who wait listen as well; nobody does between two of them.
  socket.on('error', () => {})
  try {
    const id = randomInt(2 ** 31)
    // The mark makes the agent forget half a line that came before.
    socket.write(Buffer.from([MARK]))
    send(socket, 'guest-sync-delimited', { id })
    const synced = await receive(socket, {
      command: 'guest-sync-delimited',
      afterMark: true,
      timeoutMs: SYNC_MS,
      signal,
    })
    if (synced !== id) throw new AgentError(command, 'it does not keep its answers in order')
    send(socket, command, args)
    return await receive(socket, { command, afterMark: false, timeoutMs, signal })
  } finally {
    socket.destroy()
  }
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
    await askAgent(path, 'guest-shutdown', { mode }, { timeoutMs: SHUTDOWN_MS, ...(signal && { signal }) })
  } catch (error) {
    if (!(error instanceof AgentSilent) || error.command !== 'guest-shutdown') throw error
  }
}

class AgentSilent extends AgentError {
  readonly command: string

  constructor(command: string, timeoutMs: number) {
    super(command, `it did not answer within ${timeoutMs} ms`)
    this.name = 'AgentSilent'
    this.command = command
  }
}

function send(socket: Socket, execute: string, args?: object): void {
  socket.write(`${formatMessage({ execute, ...(args && { arguments: args }) })}\n`)
}

interface Awaited {
  command: string
  /** Skip all before a mark. */
  afterMark: boolean
  timeoutMs: number
  signal: AbortSignal | undefined
}

/** The answer in the next line. */
async function receive(socket: Socket, { command, afterMark, timeoutMs, signal }: Awaited): Promise<unknown> {
  signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  let kept = Buffer.alloc(0)
  const take = (bytes: Buffer): void => {
    kept = Buffer.concat([kept, bytes])
    const start = afterMark ? kept.lastIndexOf(MARK) + 1 : 0
    if (afterMark && start === 0) kept = Buffer.alloc(0)
    const end = kept.indexOf(NEWLINE, start)
    if (kept.length > 0 && end >= 0) resolve(kept.subarray(start, end))
    else if (kept.length > REPLY_LIMIT)
      reject(new AgentError(command, `its answer is over ${REPLY_LIMIT} bytes`))
  }
  const fail = (error?: Error): void =>
    reject(new AgentError(command, error?.message ?? 'the connection ended', false, error))
  const ended = (): void => fail()
  const giveUp = (): void => reject(signal?.reason)
  const timer = setTimeout(() => reject(new AgentSilent(command, timeoutMs)), timeoutMs)
  socket.on('data', take).once('error', fail).once('close', ended)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    return read(command, await promise)
  } finally {
    clearTimeout(timer)
    socket.off('data', take).off('error', fail).off('close', ended)
    signal?.removeEventListener('abort', giveUp)
  }
}

function read(command: string, line: Buffer): unknown {
  let message: unknown
  try {
    message = parseMessage(line.toString('utf8'))
  } catch (error) {
    throw new AgentError(command, 'its answer is no JSON', false, error)
  }
  if (!isRecord(message)) throw new AgentError(command, 'its answer is no JSON object')
  if (isRecord(message.error)) throw new AgentError(command, String(message.error.desc).slice(0, 256), true)
  return message.return
}
