import type { MigrationRef } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import { isHandedOver } from '../migration/state.ts'

/**
 * Lets a guest go on here that was handed over to a target which never ran it and never will. Throws 409 where it
 * was not handed over by this migration, where what is left of it has ended, and for an epoch that is not newer.
 */
export async function reclaimMigration(
  guest: Guest,
  { migrationUid, guest: ref }: MigrationRef,
  epoch: number,
): Promise<void> {
  await guest.move(async ({ record, machine }) => {
    const { migration, removal } = record.state
    if (migration?.uid === migrationUid && migration.side === 'source') {
      // Done, or being done.
      if (migration.step === 'reclaiming' || migration.step === 'failed') return
    }
    if (!isHandedOver(migration) || migration.uid !== migrationUid)
      throw refuse(ref, `it was not handed over by the migration ${migrationUid}`)
    if (removal) throw refuse(ref, 'it is being removed')
    if (epoch <= record.state.epoch)
      throw refuse(ref, `epoch ${epoch} is not newer than ${record.state.epoch}: raise it first`)
    if (!machine || machine.ended) throw refuse(ref, 'what was left of it here has ended: it is lost')
    await record.keep({ epoch, migration: { ...migration, step: 'reclaiming' } })
  })
}
