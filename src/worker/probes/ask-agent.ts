import type { Clock } from '../../lib/clock.ts'
import { AgentError } from '../../qemu/qga/agent.ts'
import { ask } from '../agent/ask.ts'
import { runOnce } from '../agent/exec/run-once.ts'
import { UntrustedSocket } from '../files/pin.ts'
import type { Machine } from '../guest/machine.ts'

/** What asking a guest's agent takes. */
export interface AskAgentParts {
  machine: Machine
  timeoutSeconds: number
  clock: Clock
  signal: AbortSignal
}

const SECOND_MS = 1_000

/**
 * Has the agent run `command`, or only answer where there is none: why that has failed, `undefined` where it has not.
 * Throws the reason of `signal`.
 */
export async function askAgent(
  command: readonly string[] | undefined,
  { machine, timeoutSeconds, clock, signal }: AskAgentParts,
): Promise<string | undefined> {
  const timeoutMs = timeoutSeconds * SECOND_MS
  if (!machine.hasAgent) return 'no guest agent is connected'
  try {
    if (!command) {
      await ask(machine, 'guest-ping', {}, { timeoutMs, signal })
      return undefined
    }
    const code = await runOnce(machine, command, { timeoutMs, clock, signal })
    if (code === undefined) return `it has not ended within ${timeoutSeconds} s`
    return code === 0 ? undefined : `it has ended with ${code}`
  } catch (error) {
    if (error instanceof AgentError || error instanceof UntrustedSocket) return error.message
    throw error
  }
}
