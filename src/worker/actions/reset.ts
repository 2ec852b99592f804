import type { Guest } from '../guest/guest.ts'

const RESET_MS = 5_000

/** Resets the guest's machine, as its button would. Throws 409 where it does not run. Source: contract 2.3. */
export async function resetGuest(guest: Guest): Promise<void> {
  await guest.operate(async ({ machine, record }) => {
    await machine.commandAwaiting('system_reset', 'RESET', RESET_MS)
    await record.keep(record.withEvents(['Normal', 'Reset', 'VirtualMachineInstance reset.']))
  })
}
