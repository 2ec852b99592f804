import { formatExact } from '../../lib/exact-json.ts'
import { createHash } from 'node:crypto'
import { hasReason, StatusError } from '../../lib/errors.ts'
import { isFinal, NODE_NAME_LABEL } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { VMIS } from '../../kinds/table.ts'
import { TARGET_NODE_LABEL } from '../../kinds/migration.ts'
import type { Actions, GuestReport, SyncRequest } from '../../rpc/actions.ts'
import type { NodeView } from '../node-view.ts'
import { guestClaims } from './claims.ts'
import { guestConfig } from './config.ts'
import type { VmiContext } from './context.ts'
import { failoverInMs, isFailoverWanted, isLost, isPromised } from './failover.ts'
import { isNodeGone } from './gone.ts'
import { advance } from './phases.ts'
import { epochOf, guestRefOf, incomingOf, placementOf } from './placed.ts'
import { resolveReferences } from './references.ts'
import { isSettled } from './settle.ts'
import { nowOf, setCondition, writeVmi } from './write.ts'

/** Milliseconds between looks at a node that is away. */
const AWAY_MS = 1_000
/** Milliseconds until a node is asked again whether it stops a guest when no leader is heard of. */
const ARM_MS = 10_000

/**
 * Sees to it that the node of a placed VMI has what the VMI says, and that it still has the guest. While the guest is
 * being moved, the migration controller does; the guest is not changed then.
 */
export async function run(context: VmiContext, vmi: Vmi): Promise<void> {
  const nodeName = placementOf(vmi)
  if (nodeName === undefined || incomingOf(vmi)) return
  const view = context.watch.view(nodeName)
  const actions = context.nodes.find(nodeName)
  if (!view) return context.watch.refresh()
  if (!actions || !view.connection.connected) {
    if (isNodeGone(context, nodeName)) return fail(context, vmi, 'NodeGone', `node ${nodeName} was removed`)
    if (isLost(context, vmi, nodeName)) return fail(context, vmi, 'NodeLost', lostMessage(nodeName))
    const leftMs = failoverInMs(context, vmi, nodeName)
    if (leftMs !== undefined) context.again(Math.max(leftMs, AWAY_MS))
    return
  }
  if (wasAccepted(vmi) && (view.guest(vmi.metadata.uid)?.gone ?? true)) {
    return confirmLoss(context, vmi, nodeName, view, actions)
  }
  if (await isSettled(context, vmi, view, actions)) await sync(context, vmi, view, actions)
}

function lostMessage(nodeName: string): string {
  return `node ${nodeName} was not heard of for too long, and has stopped the guest meanwhile`
}

/** Whether the node has taken the guest over: from then on it must know it. */
function wasAccepted({ status }: Vmi): boolean {
  return status?.phase === 'Scheduled' || status?.phase === 'Running' || status?.phase === 'Unknown'
}

/** A guest is given up only when its node, asked for it by UID, denies having it. */
async function confirmLoss(
  context: VmiContext,
  vmi: Vmi,
  nodeName: string,
  view: NodeView,
  actions: Actions,
): Promise<void> {
  const seen = view.guest(vmi.metadata.uid)
  try {
    view.absorb(await actions.report(guestRefOf(vmi), context.signal), seen)
    context.again(0)
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
    await fail(context, vmi, 'GuestLost', `node ${nodeName} does not have the guest any more`)
  }
}

async function sync(context: VmiContext, vmi: Vmi, view: NodeView, actions: Actions): Promise<void> {
  const { memory, signal, clock } = context
  const { uid } = vmi.metadata
  const request = await buildRequest(context, vmi)
  if (!request) return
  const seen = view.guest(uid)
  const told = {
    what: `${fingerprint(request)} ${seen?.report.held ?? ''}`,
    session: view.connection.session,
    ...untilArmed(context, request, seen?.report),
  }
  if (memory.wasTold(uid, 'synced', told, clock.now())) return
  // A guest that stands still goes on by what the store says, not the cache: it may have been given up a moment ago.
  if (seen?.report.held && !(await isStillOurs(context, vmi))) return
  let report: GuestReport
  try {
    report = await actions.sync(request, signal)
  } catch (error) {
    if (!isRefusal(error)) throw error
    // The node will never take this guest: it says what has to be changed.
    return fail(context, vmi, 'InvalidConfiguration', error.message)
  }
  memory.tell(uid, 'synced', told)
  view.absorb(report, seen)
  context.again(0)
}

/** What the node is to make of the VMI; nothing where a part has vanished, which only a new guest would need. */
async function buildRequest(context: VmiContext, vmi: Vmi): Promise<SyncRequest | undefined> {
  const { namespace } = vmi.metadata
  const { secrets, configMaps, networks, missing } = await resolveReferences(
    context.store,
    namespace,
    vmi.spec,
  )
  const isNew = !wasAccepted(vmi)
  context.awaited.set(keyOf(vmi.metadata), namespace, isNew ? missing : [])
  if (missing.length === 0) {
    return {
      epoch: epochOf(vmi),
      vmi,
      secrets,
      configMaps,
      ...(Object.keys(networks).length > 0 && { networks }),
      ...guestClaims(context.claims, vmi),
      config: guestConfig(context),
      // What stands in the VMI holds: the node may not be told otherwise before that is taken away.
      ...((isFailoverWanted(context, vmi) || isPromised(vmi)) && { failover: true }),
    }
  }
  if (!isNew) return undefined
  const names = missing.map(({ kind, name }) => `${kind} ${name}`).join(', ')
  const condition = { type: 'Synchronized', status: 'False', reason: 'FailedCreate' } as const
  const message = `${names} not found: create it, or change the field that names it`
  await writeVmi(context, vmi, setCondition(vmi, { ...condition, message }, nowOf(context)))
  return undefined
}

/** A node that has not promised to stop the guest is asked again: it may not have had a guard yet. */
function untilArmed(
  { clock, again }: VmiContext,
  { failover }: SyncRequest,
  report: GuestReport | undefined,
) {
  if (!failover || report?.failoverSeconds !== undefined) return {}
  again(ARM_MS)
  return { untilMs: clock.now() + ARM_MS }
}

async function isStillOurs({ store }: VmiContext, { metadata, status }: Vmi): Promise<boolean> {
  const live = await store.get(VMIS, metadata.namespace, metadata.name)
  if (!live || live.metadata.uid !== metadata.uid || isFinal(live.status?.phase)) return false
  return live.metadata.deletionTimestamp === undefined && placementOf(live) === status?.nodeName
}

/** What of a request matters to a guest: status, versions and the labels we set ourselves do not. */
function fingerprint({ vmi, ...others }: SyncRequest): string {
  const { annotations, labels: all = {} } = vmi.metadata
  const { [NODE_NAME_LABEL]: _node, [TARGET_NODE_LABEL]: _target, ...labels } = all
  return createHash('sha256')
    .update(formatExact([others, vmi.spec, labels, annotations]))
    .digest('base64')
}

function isRefusal(error: unknown): error is StatusError {
  return error instanceof StatusError && (error.code === 400 || error.code === 422)
}

/** Ends a VMI that cannot go on. */
async function fail(context: VmiContext, vmi: Vmi, reason: string, message: string): Promise<void> {
  const now = nowOf(context)
  const failed = advance(vmi, 'Failed', now)
  const condition = { type: 'Synchronized', status: 'False', reason, message } as const
  const next = setCondition({ ...failed, status: { ...failed.status, reason } }, condition, now)
  context.events.record(await writeVmi(context, vmi, next), 'Warning', reason, message)
}
