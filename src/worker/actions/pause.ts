import { refuse, type Guest } from '../guest/guest.ts'

const STOP_MS = 5_000

/**
 * Stops the guest's virtual CPUs; a guest that is paused already stays so. Throws 409 where it does not run.
 * Source: contract 2.3.
 */
export async function pauseGuest(guest: Guest): Promise<void> {
  await guest.operate(async ({ machine, record }) => {
    const state = await machine.runState()
    // A second `stop` would emit no event.
    if (state === 'running') await machine.commandAwaiting('stop', 'STOP', STOP_MS)
    else if (state === 'shutdown') throw refuse(record.state.guest, 'VMI has just shut down')
    if (record.state.pausedBy) return
    const event = record.withEvents(['Normal', 'Paused', 'VirtualMachineInstance paused.'])
    await record.keep({ pausedBy: 'user', ...event })
  })
}
