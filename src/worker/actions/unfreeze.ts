import { AgentError } from '../../qemu/qga/agent.ts'
import { refuseWithoutAgent, translateAgentError } from '../agent/ask.ts'
import { isFrozen, markThawed, thaw } from '../agent/freeze.ts'
import type { Guest } from '../guest/guest.ts'

/**
 * Has the guest's agent thaw its file systems; a guest that is not frozen stays as it is.
 *
 * Throws 409 where there is no agent, where it refuses, or while the guest is paused, 504 where it does not answer.
 * Source: contract 3.7.
 */
export async function unfreezeGuest(guest: Pick<Guest, 'operate'>): Promise<void> {
  await guest.operate(async ({ machine, record }) => {
    const { state } = record
    refuseWithoutAgent(machine, state)
    try {
      if (!(await isFrozen(machine))) {
        await markThawed(record)
        return
      }
      await thaw({ machine, record })
    } catch (error) {
      if (error instanceof AgentError) {
        const message = `Thawing VirtualMachineInstance failed: ${error.message}`
        await record.keep(record.withEvents(['Warning', 'FreezeError', message]))
      }
      throw translateAgentError(error, state)
    }
    await record.keep(record.withEvents(['Normal', 'Unfrozen', 'VirtualMachineInstance thawed.']))
  })
}
