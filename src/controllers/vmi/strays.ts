import { hasReason } from '../../lib/errors.ts'
import { DEFAULT_GRACE_SECONDS } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { VMIS } from '../../kinds/table.ts'
import type { VmiContext } from './context.ts'

/**
 * Removes from nodes the guests of that name whose VMI does not exist, such as one whose finalizer was taken off
 * by force. The store itself is asked before, not the cache.
 */
export async function removeStrays(
  { watch, nodes, store, memory, clock, log, signal }: VmiContext,
  namespace: string,
  name: string,
  vmi: Vmi | undefined,
): Promise<void> {
  for (const { nodeName, guest } of watch.guestsNamed(keyOf({ namespace, name }))) {
    const ref = guest.report.guest
    const session = watch.view(nodeName)?.connection.session ?? 0
    if (ref.uid === vmi?.metadata.uid) continue
    if (guest.gone) {
      watch.forget(ref.uid)
      memory.forget(ref.uid)
      continue
    }
    const told = { what: 'stray', session }
    if (memory.wasTold(ref.uid, 'removed', told, clock.now())) continue
    const live = await store.get(VMIS, namespace, name)
    if (live?.metadata.uid === ref.uid) continue
    log.warn({ node: nodeName, vmi: keyOf(ref), uid: ref.uid }, 'removing a guest that has no VMI')
    try {
      await nodes.find(nodeName)?.remove(ref, { graceSeconds: DEFAULT_GRACE_SECONDS }, signal)
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error
    }
    memory.tell(ref.uid, 'removed', told)
  }
}
