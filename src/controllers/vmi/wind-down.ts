import { hasReason } from '../../lib/errors.ts'
import { DEFAULT_GRACE_SECONDS, isFinal, VMI_FINALIZER } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { Actions } from '../../rpc/actions.ts'
import type { NodeView } from '../node-view.ts'
import type { VmiContext } from './context.ts'
import { isLost } from './failover.ts'
import { isNodeGone } from './gone.ts'
import { advance } from './phases.ts'
import { guestRefOf, holdingsOf, withoutPlacement } from './placed.ts'
import { nowOf, withReadiness, writeVmi } from './write.ts'

/** Milliseconds beyond the grace period after which a node that has not answered is asked again. */
const PATIENCE_MS = 30_000
/** Milliseconds between looks at a node that is away. */
const AWAY_MS = 10_000

/**
 * Ends a VMI that is being deleted or has ended: its node stops the guest and forgets it, and so does the node that the
 * guest was being moved to; then the VMI loses its finalizer. What was never given to a node ends at once.
 * Source: contract 7.4.
 */
export async function windDown(context: VmiContext, vmi: Vmi): Promise<void> {
  const ends = await Promise.all(holdingsOf(vmi).map(({ nodeName }) => endAt(context, vmi, nodeName)))
  if (ends.includes(undefined)) return
  await finish(context, vmi, ends[0] ?? 'NeverScheduled')
}

/** Why a node has nothing of the guest any more; `undefined` while it may have. */
async function endAt(context: VmiContext, vmi: Vmi, nodeName: string): Promise<string | undefined> {
  const view = context.watch.view(nodeName)
  const actions = context.nodes.find(nodeName)
  if (!view) {
    context.watch.refresh()
    return undefined
  }
  if (!actions || !view.connection.connected) {
    if (isNodeGone(context, nodeName)) return 'NodeGone'
    if (isLost(context, vmi, nodeName)) return 'NodeLost'
    context.again(AWAY_MS)
    return undefined
  }
  const isGone =
    view.guest(vmi.metadata.uid)?.gone || (await isForgotten(context, vmi, nodeName, view, actions))
  return isGone ? 'GuestStopped' : undefined
}

/** Asks the node to remove the guest, unless it knows; true where the node does not have it. */
async function isForgotten(
  context: VmiContext,
  vmi: Vmi,
  nodeName: string,
  view: NodeView,
  actions: Actions,
): Promise<boolean> {
  const { memory, signal, clock } = context
  const { uid } = vmi.metadata
  const graceSeconds = graceOf(vmi)
  const told = { what: String(graceSeconds), session: view.connection.session }
  if (memory.wasTold(uid, `removed ${nodeName}`, told, clock.now())) return false
  try {
    await actions.remove(guestRefOf(vmi), { graceSeconds }, signal)
  } catch (error) {
    if (hasReason(error, 'NotFound')) return true
    throw error
  }
  // The node is silent for as long as the guest takes; should it have lost the request, it is asked again.
  const patienceMs = graceSeconds * 1000 + PATIENCE_MS
  memory.tell(uid, `removed ${nodeName}`, { ...told, untilMs: clock.now() + patienceMs })
  context.again(patienceMs)
  return false
}

/** Seconds the guest gets: those of its spec as they are now, none once it has ended. */
function graceOf({ spec, status }: Vmi): number {
  return isFinal(status?.phase) ? 0 : (spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS)
}

/**
 * Nothing of the guest is left. One whose end nobody reported ends Failed: that it shut down by itself is not
 * known.
 */
async function finish(context: VmiContext, vmi: Vmi, reason: string): Promise<void> {
  const now = nowOf(context)
  const ended = isFinal(vmi.status?.phase) ? vmi : withReason(advance(vmi, 'Failed', now), reason)
  const finalizers = vmi.metadata.finalizers?.filter((name) => name !== VMI_FINALIZER)
  const metadata = { ...vmi.metadata, ...(finalizers && { finalizers }) }
  const bare = withoutPlacement({ ...ended, metadata })
  await writeVmi(context, vmi, withReadiness(bare, { nodeAway: false, progress: undefined }, now))
}

function withReason(vmi: Vmi, reason: string): Vmi {
  return { ...vmi, status: { ...vmi.status, reason } }
}
