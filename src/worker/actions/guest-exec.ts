import type { Duplex } from 'node:stream'
import type { ExecOptions } from '../../rpc/actions.ts'
import { isMigrating, refuseWithoutAgent, translateAgentError } from '../agent/ask.ts'
import { refuse, type Guest } from '../guest/guest.ts'

/**
 * Runs a program in the guest through its agent. Its output comes as lines of `ExecOutput`, while it runs where the guest
 * has a shell, else when it has ended. When nobody reads them any more, the program is ended.
 *
 * Throws 400 for a command that cannot be run, 409 where there is no agent or it refuses, while the guest is paused,
 * frozen or moves to another node, 429 where many run already, 504 where the agent does not answer, and the reason of
 * `signal`.
 */
export async function runInGuest(guest: Guest, options: ExecOptions, signal?: AbortSignal): Promise<Duplex> {
  const machine = guest.machine()
  const { state, execs } = guest.agentWork()
  if (isMigrating(state)) throw refuse(state.guest, 'VMI is being migrated')
  refuseWithoutAgent(machine, state)
  if (state.frozen || state.agent?.frozen)
    throw refuse(state.guest, 'VMI is frozen: nothing can be run in it before it thaws')
  signal?.throwIfAborted()
  try {
    return await execs.run(machine, options)
  } catch (error) {
    throw translateAgentError(error, state)
  }
}
