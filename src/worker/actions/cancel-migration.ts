import { QmpClosed } from '../../qemu/qmp/client.ts'
import type { MigrationRef } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'
import { abort, isArriving, withPast } from '../migration/state.ts'
import { ABORTED } from '../migration/outgoing.ts'
import { queryMigrate } from '../migration/query.ts'

/** A QEMU that ends closes its monitor first. */
const EXIT_MS = 2000

/**
 * Gives a migration up. On the source the guest goes on; the target forgets it. What the target has all of is not
 * taken back, and post-copy cannot be.
 */
export async function cancelMigration(guest: Guest, { migrationUid }: MigrationRef): Promise<void> {
  await guest.move(async ({ record, machine, giveUp, parts }) => {
    const { migration, pastMigrations } = record.state
    if (migration?.uid !== migrationUid) {
      // It must not begin later, when this call has overtaken that one.
      await record.keep({ pastMigrations: withPast(pastMigrations, migrationUid) })
      return
    }
    if (migration.side === 'source') {
      const aborted = abort(migration, ABORTED)
      if (aborted !== migration) await record.keep({ migration: aborted })
      return
    }
    if (!isArriving(migration) || migration.step === 'resuming') return
    if (machine && !machine.ended && migration.step !== 'failed') {
      const status = await statusOf(machine)
      // The source has handed it over: whether it runs here is no longer anybody's to choose.
      if (status === 'completed' || status === 'postcopy-active') return
    }
    await record.keep({ removal: { deadlineMs: parts.clock.now() } })
    giveUp()
  })
}

/** What a target says of its migration; `undefined` where it ends while it is asked, as it does when the source hangs up. */
async function statusOf(machine: Machine): Promise<string | undefined> {
  try {
    return (await queryMigrate(machine)).status
  } catch (error) {
    if (error instanceof QmpClosed && (await machine.endsWithin(EXIT_MS))) return undefined
    throw error
  }
}
