import { thawForStop } from '../agent/freeze.ts'
import type { WorkerParts } from '../parts.ts'
import type { Bell } from './bell.ts'
import { endAfter } from './end.ts'
import type { Machine } from './machine.ts'
import type { GuestRecord } from './record.ts'
import { shutDownGuest } from './stop.ts'

/** What stopping a guest for good takes. */
export interface ShutDownParts {
  parts: WorkerParts
  record: GuestRecord
  bell: Bell
  signal: AbortSignal
}

/**
 * Stops a guest that is to be removed, and writes down how it has ended; its QEMU is left. `machine` is absent where
 * none has been started. Throws the reason of `signal`, and the system's error.
 */
export async function shutDownForGood(
  machine: Machine | undefined,
  { parts, record, bell, signal }: ShutDownParts,
): Promise<void> {
  const { clock, log } = parts
  const { acpi } = record.state
  const deadlineMs = (): number => record.state.removal?.deadlineMs ?? 0
  if (machine && deadlineMs() > clock.now()) await thawForStop(machine, record, log)
  const outcome = machine
    ? await shutDownGuest(machine, { clock, log, bell, signal, deadlineMs, acpi })
    : 'never-ran'
  // Before QEMU ends: a worker that comes after a crash would not know why it has.
  await record.keep({
    reason: undefined,
    ...endAfter(outcome, acpi),
    pausedBy: undefined,
    trouble: undefined,
  })
}
