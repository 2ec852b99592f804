import type { Clock } from '../../lib/clock.ts'
import type { GuestFiles } from '../files/paths.ts'
import { causeOfDeath } from './orphans.ts'
import { isMoving, lose } from '../migration/state.ts'
import type { Machine } from './machine.ts'
import type { GuestRecord, Happened } from './record.ts'
import type { Launched } from './state.ts'
import type { StopOutcome } from './stop.ts'

/** How a guest has come to its end. */
export interface GuestEnd {
  phase: 'Succeeded' | 'Failed'
  reason?: string
  message: string
}

/** Writes down that a guest has ended, and with it a migration that it was on. Throws the system's error. */
export async function keepEnd(
  { phase, reason, message }: GuestEnd,
  record: GuestRecord,
  clock: Clock,
): Promise<void> {
  const { migration } = record.state
  const happened: Happened = [
    phase === 'Failed' ? 'Warning' : 'Normal',
    'Stopped',
    `VirtualMachineInstance stopped: ${message}.`,
  ]
  await record.keep({
    phase,
    reason,
    message,
    pausedBy: undefined,
    trouble: undefined,
    ...(migration && isMoving(migration) && { migration: lose(migration, message, phase, clock) }),
    ...record.withEvents(happened),
  })
}

/** A guest had just come from another node: it may have run, and nobody can tell whether it has. */
export const LOST_ARRIVAL: GuestEnd = {
  phase: 'Failed',
  reason: 'QemuExited',
  message: 'QEMU ended just as the guest had arrived',
}

/** A QEMU has ended that we were connected to. */
export async function endOfMachine(machine: Machine, files: GuestFiles): Promise<GuestEnd> {
  const { shutdown, watchdog } = machine.lastWords
  if (shutdown === 'guest-shutdown') return { phase: 'Succeeded', message: 'the guest has shut down' }
  if (watchdog) {
    return { phase: 'Failed', reason: 'Watchdog', message: `the guest's watchdog ended it (${watchdog})` }
  }
  return endUnseen(machine.process, files)
}

/** A QEMU has ended, and all that is known of it is in its log. */
export async function endUnseen(process: Launched, files: GuestFiles): Promise<GuestEnd> {
  return { phase: 'Failed', reason: 'QemuExited', message: await causeOfDeath(process, files) }
}

/** What becomes of a guest that was stopped. Source: contract 7.4. */
export function endAfter(outcome: StopOutcome, acpi: boolean): GuestEnd {
  if (outcome === 'shut-down') return { phase: 'Succeeded', message: 'the guest has shut down' }
  if (outcome === 'forced' && !acpi)
    return { phase: 'Succeeded', message: 'the guest was ended; it has no power button' }
  if (outcome === 'forced') {
    return {
      phase: 'Failed',
      reason: 'GracePeriodExpired',
      message: 'the guest was ended: it did not shut down in time',
    }
  }
  if (outcome === 'crashed')
    return { phase: 'Failed', reason: 'GuestCrashed', message: 'the guest has crashed' }
  if (outcome === 'gone')
    return { phase: 'Failed', reason: 'QemuExited', message: 'QEMU ended while its guest was being stopped' }
  return { phase: 'Failed', reason: 'Stopped', message: 'the guest was stopped before it ran' }
}
