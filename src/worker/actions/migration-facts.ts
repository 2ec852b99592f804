import type { MigrationFacts, MigrationRef } from '../../rpc/actions.ts'
import { isBackingUp } from '../backup/state.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestState } from '../guest/state.ts'
import { collectFacts, digestOf, type GuestFacts, wrapFacts } from '../migration/facts.ts'
import { MigrationFailed } from '../migration/failure.ts'
import { notMigratableOf } from '../migration/migratable.ts'
import type { WorkerParts } from '../parts.ts'
import { isMoving } from '../migration/state.ts'

/**
 * What the target of a migration has to know of the guest. What was told is remembered: where the guest is another
 * one when it is to be sent, that is refused. Throws 409 where it cannot be moved.
 */
export async function tellMigrationFacts(
  guest: Guest,
  { migrationUid }: MigrationRef,
): Promise<MigrationFacts> {
  return guest.move(async ({ record, parts }) => {
    const machine = guest.machine()
    checkMigratable(record.state, machine)
    const facts = await describe(record.state, machine, parts)
    await record.keep({ factsGiven: { migrationUid, digest: digestOf(facts) } })
    return wrapFacts(facts)
  })
}

/** The facts of a guest. Throws 409 where they are not clear. */
export async function describe(
  state: Readonly<GuestState>,
  machine: Machine,
  parts: WorkerParts,
): Promise<GuestFacts> {
  try {
    return await collectFacts(state, machine, parts)
  } catch (error) {
    throw error instanceof MigrationFailed ? refuse(state.guest, error.message) : error
  }
}

/** Throws 409 where the guest cannot be moved, or not now. */
export function checkMigratable(state: Readonly<GuestState>, machine: Machine): void {
  const { guest, build, migration, frozen, backup } = state
  const notMigratable = notMigratableOf(state)
  if (frozen) throw refuse(guest, 'the file systems of VMI are frozen: thaw them first')
  if (isBackingUp(backup)) throw refuse(guest, 'a backup of VMI is under way: wait for it, or end it')
  if (machine.unplugs.size > 0) throw refuse(guest, 'VMI is letting go of a disk: wait until it has')
  if (notMigratable) throw refuse(guest, `VMI is not migratable: ${notMigratable.message}`)
  if (!build) {
    throw refuse(
      guest,
      'VMI was started by an older version, which has not written down what it takes: restart it',
    )
  }
  if (isMoving(migration)) throw refuse(guest, 'VMI is being migrated already')
}
