import type { Log } from '../../lib/log.ts'
import { refuse, type Guest } from '../guest/guest.ts'
import { resume } from '../guest/observe.ts'

/** Lets the guest's virtual CPUs run again; a guest that is not paused stays as it is. Source: contract 2.3. */
export async function unpauseGuest(guest: Guest, log: Log): Promise<void> {
  await guest.operate(async ({ machine, record }) => {
    if ((await machine.runState()) === 'running' || !record.state.pausedBy) return
    if (record.state.pausedBy === 'fence') {
      throw refuse(record.state.guest, 'VMI stands still until a controller has been heard of')
    }
    await resume(machine, log)
    const event = record.withEvents(['Normal', 'Unpaused', 'VirtualMachineInstance unpaused.'])
    await record.keep({ pausedBy: undefined, ...event })
  })
}
