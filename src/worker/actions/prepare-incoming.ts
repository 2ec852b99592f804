import type { IncomingReply, IncomingRequest } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import type { GuestRecord } from '../guest/record.ts'
import type { Guests } from '../guests.ts'
import { mirroredOf, unwrapFacts } from '../migration/facts.ts'
import type { IncomingState } from '../migration/state.ts'

/**
 * Makes ready for a guest and answers where it is waited for. Repeated, it waits for the same.
 *
 * Throws 400 for facts of another form, 409 where the guest is here already or could not be made ready, and the
 * reason of `signal`, which ends the waiting alone.
 */
export async function prepareIncoming(
  guests: Guests,
  request: IncomingRequest,
  signal?: AbortSignal,
): Promise<IncomingReply> {
  const { sync } = request
  const migration = newIncoming(request)
  const guest = await guests.getOrCreate(sync, { migration })
  await guest.move(async ({ record, expect }) => {
    await admit(record, request, migration)
    expect(request)
  })
  return untilReady(guest, request, signal)
}

function newIncoming({ migrationUid, facts, tls }: IncomingRequest): IncomingState {
  const known = unwrapFacts(facts)
  return {
    uid: migrationUid,
    side: 'target',
    step: 'preparing',
    paused: known.paused,
    disks: mirroredOf(known),
    ...(tls && { peerName: tls.peerName }),
  }
}

async function admit(record: GuestRecord, request: IncomingRequest, fresh: IncomingState): Promise<void> {
  const { guest, sync, migrationUid } = request
  const { migration, epoch, removal, pastMigrations = [] } = record.state
  if (removal) throw refuse(guest, 'it is being removed from this node')
  if (sync.epoch < epoch)
    throw refuse(guest, `epoch ${sync.epoch} is older than ${epoch}: the guest has changed hands`)
  if (migration?.uid === migrationUid && migration.side === 'target') {
    if (migration.step === 'failed') throw refuse(guest, migration.failure ?? 'the migration has failed')
    if (migration.step === 'done') throw refuse(guest, 'the guest has arrived already')
    return
  }
  const isLeftOver = migration?.side === 'target' && migration.step === 'failed' && !migration.guestLost
  if (!isLeftOver || pastMigrations.includes(migrationUid))
    throw refuse(guest, 'this node has the guest already')
  await record.keep({ epoch: sync.epoch, migration: fresh })
}

async function untilReady(
  guest: Guest,
  { migrationUid, guest: ref }: IncomingRequest,
  signal: AbortSignal | undefined,
): Promise<IncomingReply> {
  const state = await guest.until(({ migration, removal }) => {
    const isOurs = migration?.uid === migrationUid
    return removal !== undefined || !isOurs || migration.step !== 'preparing'
  }, signal)
  const { migration, removal } = state
  if (removal || migration?.side !== 'target' || migration.uid !== migrationUid)
    throw refuse(ref, 'the migration was cancelled')
  if (migration.step === 'failed') throw refuse(ref, migration.failure ?? 'the migration has failed')
  if (!migration.reply) throw refuse(ref, 'the migration has no address to be reached at')
  return migration.reply
}
