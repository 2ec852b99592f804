import { hasReason } from '../../lib/errors.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { Actions } from '../../rpc/actions.ts'
import type { NodeView } from '../node-view.ts'
import type { VmiContext } from './context.ts'
import { epochOf, guestRefOf, incomingOf } from './placed.ts'

/** Milliseconds until a node that has not followed is told again. */
const PATIENCE_MS = 10_000

/**
 * Whether what the guest's node still does about a migration is over, as it is for the VMI. Where it is not, the node
 * is told: a guest that it has handed over, and that the target is known not to have run, goes on here (contract
 * worker-qemu 5.3); one that is still being sent is not sent any more.
 */
export async function isSettled(
  { memory, clock, signal, again, log }: VmiContext,
  vmi: Vmi,
  view: NodeView,
  actions: Actions,
): Promise<boolean> {
  const { uid } = vmi.metadata
  const migration = view.guest(uid)?.report.migration
  if (migration?.side !== 'source' || incomingOf(vmi)) return true
  const { migrationUid, phase } = migration
  if (phase !== 'handedOver' && phase !== 'running') return true
  const state = vmi.status?.migrationState
  const isDecided = state?.migrationUid === migrationUid && state.failed === true
  if (phase === 'handedOver' && !isDecided) return false
  const epoch = epochOf(vmi)
  const what = `${migrationUid} ${phase} ${epoch}`
  const told = { what, session: view.connection.session, untilMs: clock.now() + PATIENCE_MS }
  again(PATIENCE_MS)
  if (memory.wasTold(uid, `settled ${migrationUid}`, told, clock.now())) return false
  const ref = { guest: guestRefOf(vmi), migrationUid }
  log.info({ vmi: ref.guest, migration: migrationUid, phase }, 'the guest goes on where it was')
  try {
    if (phase === 'running') await actions.cancelMigration(ref, signal)
    else await actions.reclaimMigration(ref, epoch, signal)
  } catch (error) {
    // The next report tells that it is gone.
    if (!hasReason(error, 'NotFound')) throw error
  }
  memory.tell(uid, `settled ${migrationUid}`, told)
  return false
}
