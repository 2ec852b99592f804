import { isRecord } from '../../../lib/json.ts'
import { AgentError, AgentSession, type AskOptions } from '../../../qemu/qga/agent.ts'
import type { Machine } from '../../guest/machine.ts'

/** Asks the agent one question. */
export type Talk = (command: string, args: object, options?: AskOptions) => Promise<unknown>

/** The part of a machine that programs are run through. */
export type ExecMachine = Pick<Machine, 'withAgent' | 'hasAgent' | 'ended'>

/** Asks the agent a few questions in a row, on one connection. Throws what `use` throws, and `UntrustedSocket`. */
export async function converse<T>(
  machine: Pick<Machine, 'withAgent'>,
  use: (talk: Talk) => Promise<T>,
): Promise<T> {
  return machine.withAgent(async (path, signal) => {
    using agent = new AgentSession(path)
    return await use((command, args, options) => agent.ask(command, args, { signal, ...options }))
  })
}

/** Number of a process in the guest. */
export type Pid = number | bigint

/** How a program in the guest is doing. */
export type ProgramStatus =
  | { exited: false }
  | { exited: true; code: number; out: Buffer; err: Buffer; isCutOff: boolean }

/** Output that is captured comes in one answer. Source: contract worker-qemu 2.14. */
const CAPTURED_LIMIT = 8 * 1024 * 1024
const SIGNAL_BASE = 128

/** Starts a program in the guest. Throws as `Talk`. */
export async function start(
  talk: Talk,
  [path, ...arg]: readonly string[],
  options: { capture: boolean },
): Promise<Pid> {
  const answer = await talk('guest-exec', { path, arg, 'capture-output': options.capture })
  const pid = isRecord(answer) ? answer.pid : undefined
  if (typeof pid === 'number' || typeof pid === 'bigint') return pid
  throw new AgentError('guest-exec', 'it answers without a process')
}

/** Asks how a program is doing. One that has ended is forgotten by the agent then. Throws as `Talk`. */
export async function statusOf(talk: Talk, pid: Pid): Promise<ProgramStatus> {
  const command = 'guest-exec-status'
  const answer = await talk(command, { pid }, { limitBytes: CAPTURED_LIMIT })
  if (!isRecord(answer)) throw new AgentError(command, 'it answers with no status')
  if (answer.exited !== true) return { exited: false }
  const { exitcode, signal } = answer
  const code = isCode(signal) ? SIGNAL_BASE + signal : isCode(exitcode) ? exitcode : undefined
  if (code === undefined) throw new AgentError(command, 'it does not say how the program ended')
  return {
    exited: true,
    code,
    out: bytesOf(answer['out-data']),
    err: bytesOf(answer['err-data']),
    isCutOff: answer['out-truncated'] === true || answer['err-truncated'] === true,
  }
}

/** Windows has exit codes of 32 bits. */
function isCode(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}

/** Bytes of a base64 text; none for anything else. */
export function bytesOf(value: unknown): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(0)
}
