import type { MigrationRef } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import { isHandedOver } from '../migration/state.ts'

/**
 * Ends what is left of a guest that runs on the target, and forgets it. Throws 409 where the guest was not handed
 * over by this migration, and for an old epoch.
 */
export async function releaseMigration(
  guest: Guest,
  { migrationUid, guest: ref }: MigrationRef,
  epoch: number,
): Promise<void> {
  await guest.move(async ({ record, parts, giveUp }) => {
    const { migration, removal } = record.state
    if (removal) return
    if (!isHandedOver(migration) || migration.uid !== migrationUid)
      throw refuse(ref, `it was not handed over by the migration ${migrationUid}`)
    if (epoch < record.state.epoch)
      throw refuse(ref, `epoch ${epoch} is older than ${record.state.epoch}: the guest has changed hands`)
    await record.keep({ epoch, removal: { deadlineMs: parts.clock.now() } })
    giveUp()
  })
}
