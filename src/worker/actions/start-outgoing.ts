import { timestamp } from '../../lib/clock.ts'
import type { OutgoingRequest } from '../../rpc/actions.ts'
import { type Guest, type MoveHost, refuse } from '../guest/guest.ts'
import { digestOf, type GuestFacts, mirroredOf } from '../migration/facts.ts'
import { isSending, withPast } from '../migration/state.ts'
import { tlsDir, writeTls } from '../migration/tls.ts'
import { checkMigratable, describe } from './migration-facts.ts'

/**
 * Begins to send the guest; its life does the rest. Throws 409 for a migration that was carried out, one for which
 * the guest has changed since its facts were told, and a guest that cannot be moved.
 */
export async function startOutgoing(guest: Guest, request: OutgoingRequest): Promise<void> {
  await guest.move(async (host) => {
    const { record, parts, files } = host
    const { migration, pastMigrations, launch } = record.state
    const { migrationUid: uid, tls, target, options } = request
    if (migration?.uid === uid && isSending(migration)) return
    const facts = await checkStart(guest, host, request)
    // Before it is written down that there is something to send: the key stands nowhere else.
    if (tls) await writeTls(tlsDir(files), 'client', tls, launch?.user)
    await record.keep({
      epoch: request.epoch,
      pastMigrations: withPast(pastMigrations, uid),
      factsGiven: undefined,
      migration: {
        uid,
        side: 'source',
        step: 'mirroring',
        mode: 'PreCopy',
        startTime: timestamp(parts.clock),
        target,
        options,
        disks: mirroredOf(facts),
        ...(tls && { peerName: tls.peerName }),
      },
    })
    parts.log.info({ vmi: request.guest, migration: uid, target: target.address }, 'a guest begins to move')
  })
}

async function checkStart(
  guest: Guest,
  { record, parts }: MoveHost,
  { migrationUid, epoch, guest: ref }: OutgoingRequest,
): Promise<GuestFacts> {
  const { migration, pastMigrations = [], factsGiven } = record.state
  if (migration?.uid === migrationUid || pastMigrations.includes(migrationUid))
    throw refuse(ref, `the migration ${migrationUid} was carried out already: begin another one`)
  if (epoch < record.state.epoch)
    throw refuse(ref, `epoch ${epoch} is older than ${record.state.epoch}: the guest has changed hands`)
  const machine = guest.machine()
  checkMigratable(record.state, machine)
  const facts = await describe(record.state, machine, parts)
  if (factsGiven?.migrationUid === migrationUid && factsGiven.digest === digestOf(facts)) return facts
  throw refuse(
    ref,
    'VMI has changed since its target was made ready (paused or unpaused, or its disks): begin another migration',
  )
}
