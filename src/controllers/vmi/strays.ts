import { hasReason } from '../../lib/errors.ts'
import { DEFAULT_GRACE_SECONDS } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { VMIS } from '../../kinds/table.ts'
import type { Actions, GuestReport } from '../../rpc/actions.ts'
import type { VmiContext } from './context.ts'
import { epochOf, isHeldAt } from './placed.ts'

/** Milliseconds until a node that still has what it was told to remove is told again. */
const PATIENCE_MS = 60_000
/** Milliseconds until a node that has refused is asked again. */
const RETRY_MS = 1_000

/**
 * Removes from nodes the guests of that name that are not theirs: those whose VMI does not exist, such as one whose
 * finalizer was taken off by force, and what a migration has left on a node that does not have the guest (any more).
 * The store itself is asked before, not the cache.
 */
export async function removeStrays(
  { watch, nodes, store, memory, clock, log, signal, again }: VmiContext,
  namespace: string,
  name: string,
  vmi: Vmi | undefined,
): Promise<void> {
  for (const { nodeName, guest } of watch.guestsNamed(keyOf({ namespace, name }))) {
    const { guest: ref, migration } = guest.report
    const view = watch.view(nodeName)
    if (isHeldAt(vmi, ref.uid, nodeName)) continue
    if (guest.gone) {
      view?.forget(ref.uid)
      if (ref.uid !== vmi?.metadata.uid) memory.forget(ref.uid)
      continue
    }
    const what = `stray ${migration?.migrationUid ?? ''} ${migration?.phase ?? ''}`
    const told = { what, session: view?.connection.session ?? 0, untilMs: clock.now() + PATIENCE_MS }
    if (memory.wasTold(ref.uid, `removed ${nodeName}`, told, clock.now())) continue
    const actions = nodes.find(nodeName)
    const live = await store.get(VMIS, namespace, name)
    if (!actions || isHeldAt(live, ref.uid, nodeName)) continue
    const owned = live?.metadata.uid === ref.uid ? live : undefined
    log.info(
      { node: nodeName, vmi: keyOf(ref), uid: ref.uid },
      'removing a guest from a node that it is not on',
    )
    try {
      await removeStray(actions, guest.report, owned, signal)
    } catch (error) {
      if (!hasReason(error, 'NotFound')) {
        // A node that has not got that far yet, or does not answer, must not hold up the guest on its own node.
        log[hasReason(error, 'Conflict') ? 'debug' : 'warn'](
          { err: error, node: nodeName },
          'a stray stays for now',
        )
        again(RETRY_MS)
        continue
      }
    }
    memory.tell(ref.uid, `removed ${nodeName}`, told)
    again(PATIENCE_MS)
  }
}

/** `vmi`: the guest's own, where it exists; it is on another node then, and nothing here may go on running. */
async function removeStray(
  actions: Actions,
  { guest, migration, failoverSeconds }: GuestReport,
  vmi: Vmi | undefined,
  signal: AbortSignal,
): Promise<void> {
  const ref = migration && { guest, migrationUid: migration.migrationUid }
  const hasLeft = migration?.phase === 'handedOver'
  const isOver = migration?.phase === 'done' || migration?.phase === 'failed'
  if (vmi && ref && migration.side === 'source' && !isOver)
    return actions.releaseMigration(ref, epochOf(vmi), signal)
  if (vmi && ref && migration.side === 'target' && migration.phase !== 'done')
    return actions.cancelMigration(ref, signal)
  // One that was started elsewhere stands still here, and is not to run again even to shut down.
  const isStale = failoverSeconds !== undefined
  const graceSeconds = vmi || hasLeft || isStale ? 0 : DEFAULT_GRACE_SECONDS
  return actions.remove(guest, { graceSeconds }, signal)
}
