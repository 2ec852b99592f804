import type { Clock } from '../../lib/clock.ts'
import { badRequest } from '../../lib/errors.ts'
import type { FreezeOptions } from '../../rpc/actions.ts'
import { AgentError } from '../../qemu/qga/agent.ts'
import { isMigrating, refuseWithoutAgent, translateAgentError } from '../agent/ask.ts'
import { freeze, isFrozen } from '../agent/freeze.ts'
import { type Guest, refuse } from '../guest/guest.ts'

/**
 * Has the guest's agent freeze its file systems, for so many seconds, or until somebody thaws them. A guest that is
 * frozen stays so, and thaws when it would have.
 *
 * Throws 400 for an odd time, 409 where there is no agent, where it refuses, while the guest is paused or moves to
 * another node, 504 where it does not answer; then nothing stays frozen. Source: contract 3.7 and 5.3.
 */
export async function freezeGuest(
  guest: Pick<Guest, 'operate'>,
  { unfreezeSeconds }: FreezeOptions,
  clock: Clock,
): Promise<void> {
  if (!Number.isSafeInteger(unfreezeSeconds) || unfreezeSeconds < 0)
    throw badRequest(`unfreezeSeconds is ${unfreezeSeconds}; it is a whole number from 0`)
  await guest.operate(async ({ machine, record }) => {
    const { state } = record
    if (isMigrating(state)) throw refuse(state.guest, 'VMI is being migrated')
    refuseWithoutAgent(machine, state)
    try {
      const until = unfreezeSeconds === 0 ? {} : { thawAtMs: clock.now() + unfreezeSeconds * 1000 }
      if (await isFrozen(machine)) {
        // Somebody else has frozen it: nothing but this would thaw it.
        if (!state.frozen) await record.keep({ frozen: { ...until, confirmed: true } })
        return
      }
      await freeze({ machine, record }, until)
    } catch (error) {
      if (error instanceof AgentError) {
        const message = `Freezing VirtualMachineInstance failed: ${error.message}`
        await record.keep(record.withEvents(['Warning', 'FreezeError', message]))
      }
      throw translateAgentError(error, state)
    }
    await record.keep(record.withEvents(['Normal', 'Frozen', 'VirtualMachineInstance frozen.']))
  })
}
