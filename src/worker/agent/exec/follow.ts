import type { Clock } from '../../../lib/clock.ts'
import { wait } from '../../../lib/clock.ts'
import { AgentError } from '../../../qemu/qga/agent.ts'
import { UntrustedSocket } from '../../files/pin.ts'
import type { ExecStream } from './exec-stream.ts'
import { readText, Segments } from './segments.ts'
import { converse, type ExecMachine, type Pid, type ProgramStatus, statusOf, type Talk } from './talk.ts'

/** A program that was started. */
export interface Program {
  pid: Pid
  /** Folder with its output; absent where the agent keeps that until it ends. */
  folder?: string
}

/** What following a program takes. */
export interface FollowParts {
  machine: ExecMachine
  stream: ExecStream
  clock: Clock
  /** Aborts when it is followed no further; its reason is why. */
  signal: AbortSignal
  /** Whether the guest stands still, so that its agent cannot answer, or not this. */
  isStill: () => boolean
}

/** A program in a guest cannot be followed to its end. The message is for its user. */
export class ExecFailed extends Error {
  override readonly name = 'ExecFailed'
}

const FASTEST_MS = 50
const SLOWEST_MS = 500
/** An agent that restarts, or a guest that is busy. */
const SILENCE_MS = 30_000
/** Reads of each kind of output in one turn: others ask the agent as well. */
const READS = 4

/**
 * Hands on what a program prints, while it does, and answers its exit code. Where nobody takes it, nothing is read.
 *
 * Throws `ExecFailed` where it cannot be followed to its end, and the reason of the signal.
 */
export async function followProgram(program: Program, parts: FollowParts): Promise<number> {
  const { machine, stream, clock, signal, isStill } = parts
  const { folder } = program
  const outputs =
    folder === undefined ? [] : [output('stdout', `${folder}/out`), output('stderr', `${folder}/err`)]
  let ended: Ended | undefined
  let waitMs = FASTEST_MS
  let heardMs = clock.now()
  try {
    for (;;) {
      signal.throwIfAborted()
      const found: Found[] = []
      const isComplete = await talkTo(machine, async (talk) => {
        ended ??= await endOf(talk, program)
        await readAll(talk, outputs, { isOver: ended !== undefined, found })
        return true
      }).catch((error: unknown) => orSilent(error, parts, heardMs))
      if (isComplete || isStill()) heardMs = clock.now()
      for (const [name, bytes] of found) await send(stream, name, bytes)
      if (ended && isComplete && found.length === 0) return await finish(ended, stream)
      waitMs = found.length > 0 ? FASTEST_MS : Math.min(waitMs * 2, SLOWEST_MS)
      if (found.length === 0) await wait(clock, waitMs, signal)
    }
  } finally {
    if (outputs.length > 0) await letGo(machine, outputs)
  }
}

/** Throws `AgentError` besides, where no agent is there: QEMU would keep what is said to none for the next one. */
async function talkTo(machine: ExecMachine, use: (talk: Talk) => Promise<true>): Promise<true> {
  if (!machine.hasAgent) throw new AgentError('guest-exec-status', 'no agent is connected')
  return converse(machine, use)
}

type Ended = ProgramStatus & { exited: true }

async function endOf(talk: Talk, { pid, folder }: Program): Promise<Ended | undefined> {
  try {
    const status = await statusOf(talk, pid)
    return status.exited ? status : undefined
  } catch (error) {
    if (folder === undefined || !(error instanceof AgentError && error.refused)) throw error
    // The agent says once how a program has ended, and that answer may have got lost.
    const code = Number((await readText(talk, `${folder}/code`)) ?? NaN)
    if (!Number.isInteger(code)) throw error
    return { exited: true, code, out: Buffer.alloc(0), err: Buffer.alloc(0), isCutOff: false }
  }
}

type Found = [Output['name'], Buffer]

interface Output {
  name: 'stdout' | 'stderr'
  segments: Segments
}

function output(name: Output['name'], prefix: string): Output {
  return { name, segments: new Segments(prefix) }
}

/** Adds what there is to `found`, which keeps it where a later question fails. */
async function readAll(
  talk: Talk,
  outputs: readonly Output[],
  { isOver, found }: { isOver: boolean; found: Found[] },
): Promise<void> {
  for (const { name, segments } of outputs) {
    for (let reads = 0; reads < READS; reads += 1) {
      const bytes = await segments.read(talk, isOver)
      if (bytes.length === 0) break
      found.push([name, bytes])
    }
  }
}

async function send(stream: ExecStream, name: Output['name'], bytes: Buffer): Promise<void> {
  const text = bytes.toString('base64')
  await stream.send(name === 'stdout' ? { stdout: text } : { stderr: text })
}

const CHUNK_BYTES = 64 * 1024

/** What the agent has kept until now, and the exit code. */
async function finish(ended: Ended, stream: ExecStream): Promise<number> {
  for (const [name, bytes] of [
    ['stdout', ended.out],
    ['stderr', ended.err],
  ] as const) {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
      await send(stream, name, bytes.subarray(at, at + CHUNK_BYTES))
  }
  if (ended.isCutOff)
    throw new ExecFailed(
      `it has ended with ${ended.code}, and the guest agent has cut its output off: have it print to a file`,
    )
  return ended.code
}

/** Nothing for a while is no failure, as long as there may be something later. */
function orSilent(error: unknown, { machine, clock, isStill }: FollowParts, heardMs: number): false {
  if (machine.ended) throw new ExecFailed('the guest has ended')
  if (isStill()) return false
  if (error instanceof AgentError && error.refused)
    throw new ExecFailed(`the guest agent has lost it; has it been restarted? It says: ${error.said}`)
  if (!(error instanceof AgentError || error instanceof UntrustedSocket)) throw error
  if (clock.now() - heardMs < SILENCE_MS) return false
  throw new ExecFailed(`the guest agent has not answered for ${SILENCE_MS / 1000} s`)
}

async function letGo(machine: ExecMachine, outputs: readonly Output[]): Promise<void> {
  await converse(machine, async (talk) => {
    for (const { segments } of outputs) await segments.close(talk)
  }).catch(() => {
    // The agent closes them when it ends.
  })
}
