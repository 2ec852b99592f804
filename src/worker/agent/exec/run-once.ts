import { type Clock, wait } from '../../../lib/clock.ts'
import { AgentError } from '../../../qemu/qga/agent.ts'
import { converse, type ExecMachine, type Pid, start, statusOf } from './talk.ts'

const POLL_MS = 100

/**
 * Runs a program in the guest and answers its exit code; `undefined` where it has not ended in time, and is ended by us.
 * What it prints is dropped. Throws as `Talk`, and the reason of `signal`.
 */
export async function runOnce(
  machine: ExecMachine,
  command: readonly string[],
  { timeoutMs, clock, signal }: { timeoutMs: number; clock: Clock; signal: AbortSignal },
): Promise<number | undefined> {
  const endMs = clock.now() + timeoutMs
  const pid = await converse(machine, (talk) => start(talk, command, { capture: false }))
  for (;;) {
    const status = await converse(machine, (talk) => statusOf(talk, pid))
    if (status.exited) return status.code
    if (clock.now() >= endMs) break
    await wait(clock, Math.min(POLL_MS, endMs - clock.now()), signal)
    signal.throwIfAborted()
  }
  await kill(machine, pid)
  return undefined
}

/** One that has ended meanwhile is not known any more. */
async function kill(machine: ExecMachine, pid: Pid): Promise<void> {
  try {
    await converse(machine, (talk) => start(talk, ['kill', '-9', String(pid)], { capture: false }))
  } catch (error) {
    if (!(error instanceof AgentError && error.refused)) throw error
  }
}
