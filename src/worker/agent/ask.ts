import { isMoving } from '../migration/state.ts'
import { timeout } from '../../lib/errors.ts'
import { AgentError, AgentSession, type AskOptions } from '../../qemu/qga/agent.ts'
import { refuse } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestState } from '../guest/state.ts'

/** Asks one question of a guest's agent, in its turn. Throws `AgentError`, `UntrustedSocket`, and when we leave. */
export async function ask(
  machine: Pick<Machine, 'withAgent'>,
  command: string,
  args?: object,
  options: AskOptions = {},
): Promise<unknown> {
  return machine.withAgent(async (path, closing) => {
    using agent = new AgentSession(path)
    const signal = options.signal ? AbortSignal.any([options.signal, closing]) : closing
    return await agent.ask(command, args, { ...options, signal })
  })
}

/** Throws 409 where there is no agent, or where the guest's CPUs stand still, so that it cannot answer. */
export function refuseWithoutAgent(machine: Pick<Machine, 'hasAgent'>, state: Readonly<GuestState>): void {
  if (state.pausedBy) throw refuse(state.guest, 'VMI is paused, so its guest agent does not answer')
  if (!machine.hasAgent) throw refuse(state.guest, 'VMI has no guest agent connected: install and start it')
}

/** Whether the guest is on its way to another node, or has just come from one. */
export function isMigrating(state: Readonly<GuestState>): boolean {
  return isMoving(state.migration)
}

/** The refusal that an agent's failure is for who has asked: 409 with its own words, 504 where it was silent. */
export function translateAgentError(error: unknown, { guest }: Readonly<GuestState>): unknown {
  if (!(error instanceof AgentError)) return error
  if (error.refused) return refuse(guest, `the guest agent says: ${error.said}`)
  return timeout(`the guest agent of ${guest.name} does not answer as it should: ${error.message}`)
}
