import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import type { VmiContext } from './context.ts'
import { place } from './place.ts'
import { withPromise } from './failover.ts'
import { advance } from './phases.ts'
import { incomingOf, placementOf } from './placed.ts'
import { isHandingOver, mergeReport } from './report.ts'
import { run } from './run.ts'
import { removeStrays } from './strays.ts'
import { windDown } from './wind-down.ts'
import { NODE_GRACE_MS, nowOf, withReadiness, writeVmi } from './write.ts'

/** One pass over a VMI: takes in what its node says, then does what is missing. */
export async function reconcileVmi(context: VmiContext, namespace: string, name: string): Promise<void> {
  const vmi = context.vmis.get(namespace, name)
  await removeStrays(context, namespace, name, vmi)
  if (!vmi) return context.awaited.set(keyOf({ namespace, name }), namespace, [])
  const current = await takeIn(context, vmi)
  if (isFinal(current.status?.phase) || current.metadata.deletionTimestamp !== undefined) {
    context.awaited.set(keyOf({ namespace, name }), namespace, [])
    return windDown(context, current)
  }
  const placed = placementOf(current) === undefined ? await place(context, current) : current
  if (placed) await run(context, placed)
}

/** Merges the latest report of the VMI's node and records its events. */
async function takeIn(context: VmiContext, vmi: Vmi): Promise<Vmi> {
  const nodeName = placementOf(vmi)
  if (nodeName === undefined) return vmi
  // The cache shows the choice, so it need not be remembered any longer.
  context.memory.unchoose(vmi.metadata.uid)
  const now = nowOf(context)
  const view = context.watch.view(nodeName)
  const report = view?.guest(vmi.metadata.uid)?.report
  const isOwners = report && !isHandingOver(vmi, report)
  const nodeAway = isAway(context, nodeName)
  const merged = isOwners && !nodeAway ? mergeReport(vmi, nodeName, report, now) : vmi
  // What a node that is not listened to has promised, it keeps.
  const promised = view?.connection.connected ? withPromise(context, merged, report) : merged
  const known = nodeAway ? withoutKnowledge(promised, now) : promised
  const next = withReadiness(known, { nodeAway, progress: report?.message, unready: report?.unready }, now)
  const stored = await writeVmi(context, vmi, next)
  for (const event of context.memory.newEvents(vmi.metadata.uid, report?.events ?? [])) {
    context.events.record(stored, event.type, event.reason, event.message)
  }
  return stored
}

/** Nothing is known of a guest whose node is away; one that is being moved is seen to by its migration. */
function withoutKnowledge(vmi: Vmi, now: string): Vmi {
  const isKnown = vmi.status?.phase === 'Running' || vmi.status?.phase === 'Scheduled'
  return isKnown && !incomingOf(vmi) ? advance(vmi, 'Unknown', now) : vmi
}

/** Whether the node has been silent for too long; asks for another look where it may come to that. */
function isAway({ watch, clock, again }: VmiContext, nodeName: string): boolean {
  const connection = watch.view(nodeName)?.connection
  if (!connection || connection.connected) return false
  const leftMs = connection.sinceMs + NODE_GRACE_MS - clock.now()
  if (leftMs > 0) again(leftMs)
  return leftMs <= 0
}
