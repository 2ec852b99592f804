import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { AgentError, shutDownByAgent } from '../../qemu/qga/agent.ts'
import { thawForStop } from '../agent/freeze.ts'
import { refuse, type Guest, type Operation } from '../guest/guest.ts'

/** How long a guest may take to shut down and still be started anew rather than be off. */
const REBOOT_MS = 300_000

/**
 * Has the guest reboot by itself: through its agent, else by the power button, after which it is started anew.
 * Answers once the guest has been told. Throws 409 where it has neither, is paused or does not run.
 * Source: contract 2.3.
 */
export async function softRebootGuest(guest: Guest, clock: Clock, log: Log): Promise<void> {
  await guest.operate(async (operation) => {
    const { machine, record } = operation
    const { guest: ref, acpi, pausedBy } = record.state
    if (pausedBy) throw refuse(ref, 'VMI is paused')
    await thawForStop(machine, record, log)
    if (machine.hasAgent && (await rebootByAgent(operation))) {
      // The agent tells the guest to reboot, so it does not power off.
    } else if (acpi) {
      // Before the button: the guest may be quick, and the worker may crash.
      await record.keep({ rebootUntilMs: clock.now() + REBOOT_MS })
      await machine.command('system_powerdown')
    } else {
      throw refuse(ref, 'VMI has neither a guest agent nor ACPI')
    }
    await record.keep(record.withEvents(['Normal', 'SoftRebooted', 'VirtualMachineInstance soft rebooted.']))
  })
}

/** False where the agent cannot. */
async function rebootByAgent({ machine, record }: Operation): Promise<boolean> {
  try {
    await machine.withAgent((path) => shutDownByAgent(path, 'reboot'))
    return true
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    if (record.state.acpi) return false
    throw refuse(record.state.guest, `its agent does not reboot it: ${error.message}`)
  }
}
