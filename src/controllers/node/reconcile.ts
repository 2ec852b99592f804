import { formatTime } from '../../lib/clock.ts'
import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Node } from '../../kinds/core.ts'
import { LEASES, NAMESPACES, NODES } from '../../kinds/table.ts'
import {
  formatMicroTime,
  NODE_LEASE_NAMESPACE,
  SCHEDULABLE_LABEL,
  WORKER_LABEL,
  WORKER_LEASE_SECONDS,
  workerLeaseName,
} from '../../kinds/worker-lease.ts'
import type { NodeInfo } from '../../rpc/actions.ts'
import type { Informer } from '../../store/cache.ts'
import type { NodeWatch } from '../node-watch.ts'
import type { ControllerParts } from '../parts.ts'
import {
  buildAwayStatus,
  buildNodeStatus,
  capabilityLabels,
  commonLabels,
  HEARTBEAT,
  mergeLabels,
  nodeAnnotations,
} from './describe.ts'

/** Milliseconds between renewals of a node's lease. As a kubelet. */
export const RENEW_MS = 10_000
/** Seconds a lease holds. As a kubelet. */
const LEASE_SECONDS = 40
/** Milliseconds between writes of an unchanged status. As a kubelet. */
const STATUS_MS = 300_000
/** Milliseconds between notes of when a worker was heard of. As KubeVirt. */
const HEARTBEAT_MS = 60_000

/** What a pass over a node reads and may do. */
export interface NodeContext extends Pick<ControllerParts, 'store' | 'nodes' | 'clock' | 'config'> {
  nodeObjects: Pick<Informer<Node>, 'get'>
  watch: Pick<NodeWatch, 'view'>
  /** What a node said of itself, and in which session. */
  infos: Map<string, { session: number; info: NodeInfo }>
  signal: AbortSignal
  again: (delayMs: number) => void
}

/** One pass over a node: its object, and its lease, in step with what its worker says. */
export async function reconcileNode(context: NodeContext, nodeName: string): Promise<void> {
  const connection = context.watch.view(nodeName)?.connection
  const info = connection?.connected ? await askInfo(context, nodeName, connection.session) : undefined
  const node = context.nodeObjects.get('', nodeName)
  if (!info) return markAway(context, node, connection?.sinceMs)
  context.again(RENEW_MS)
  await renewWorkerLease(context, nodeName)
  if (!context.config.ownsNodes) return mark(context, node, info, capabilityLabels(info))
  await mark(context, node ?? (await createNode(context, info)), info, {
    ...commonLabels(info),
    ...capabilityLabels(info),
  })
  await writeStatus(context, info)
  await renewLease(context, nodeName)
}

async function askInfo(
  { nodes, infos, signal }: NodeContext,
  nodeName: string,
  session: number,
): Promise<NodeInfo | undefined> {
  const known = infos.get(nodeName)
  if (known?.session === session) return known.info
  const info = await nodes.find(nodeName)?.info(signal)
  if (info) infos.set(nodeName, { session, info })
  return info
}

async function createNode({ store }: NodeContext, { nodeName }: NodeInfo): Promise<Node> {
  const draft = { apiVersion: 'v1', kind: NODES.kind, metadata: { name: nodeName }, spec: {} }
  return store.create(NODES, draft)
}

/** Labels the node by what it can do, and notes what runs there and when it was heard of. */
async function mark(
  { store, clock }: NodeContext,
  node: Node | undefined,
  info: NodeInfo,
  ours: Record<string, string>,
): Promise<void> {
  if (!node) return
  const { labels: before = {}, annotations = {} } = node.metadata
  const labels = mergeLabels(before, ours)
  const noted = { ...nodeAnnotations(info), [HEARTBEAT]: heartbeatAt(annotations[HEARTBEAT], clock.now()) }
  const isNoted = Object.entries(noted).every(([name, value]) => annotations[name] === value)
  if (isNoted && isSameJson(labels, before)) return
  // A patch of these alone: the rest of a node may be a kubelet's.
  const removed = Object.keys(before).filter((name) => !(name in labels))
  const unlabelled = Object.fromEntries(removed.map((name) => [name, null]))
  const body = { metadata: { labels: { ...unlabelled, ...labels }, annotations: noted } }
  await store.patch(NODES, '', node.metadata.name, { type: 'merge', body })
}

/** Now, or the time before where that is not long ago. */
function heartbeatAt(before: string | undefined, nowMs: number): string {
  const ageMs = nowMs - Date.parse(before ?? '1970-01-01T00:00:00Z')
  return before !== undefined && ageMs >= 0 && ageMs < HEARTBEAT_MS ? before : formatTime(nowMs)
}

async function writeStatus({ store, clock }: NodeContext, info: NodeInfo): Promise<void> {
  const node = await store.get(NODES, '', info.nodeName)
  if (!node) return
  const now = formatTime(clock.now())
  const status = buildNodeStatus(info, node.status, now)
  const ageMs = clock.now() - Date.parse(heartbeatOf(node.status) ?? '1970-01-01T00:00:00Z')
  if (ageMs < STATUS_MS && isSameJson(withoutHeartbeat(status), withoutHeartbeat(node.status))) return
  await store.update(NODES, { ...node, status }, { subresource: 'status' })
}

function heartbeatOf(status: Node['status']): string | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return ready && 'lastHeartbeatTime' in ready ? String(ready.lastHeartbeatTime) : undefined
}

function withoutHeartbeat(status: Node['status']): unknown {
  const conditions = status?.conditions?.map((one) => ({ ...one, lastHeartbeatTime: undefined }))
  return { ...status, conditions }
}

async function markAway(
  context: NodeContext,
  node: Node | undefined,
  sinceMs: number | undefined,
): Promise<void> {
  const { store, clock, config } = context
  if (!node || node.metadata.labels?.[SCHEDULABLE_LABEL] === undefined) return
  const leftMs = (sinceMs ?? clock.now()) + LEASE_SECONDS * 1000 - clock.now()
  if (leftMs > 0) return context.again(leftMs)
  if (config.ownsNodes && node.metadata.labels[WORKER_LABEL] === 'true') await writeAway(context, node)
  await closeToGuests(store, node)
}

async function writeAway({ store, clock }: NodeContext, node: Node): Promise<void> {
  const status = buildAwayStatus(node.status, formatTime(clock.now()))
  if (!isSameJson(status, node.status))
    await store.update(NODES, { ...node, status }, { subresource: 'status' })
}

async function closeToGuests(store: NodeContext['store'], { metadata }: Node): Promise<void> {
  if (metadata.labels?.[SCHEDULABLE_LABEL] === 'false') return
  const body = { metadata: { labels: { [SCHEDULABLE_LABEL]: 'false' } } }
  await store.patch(NODES, '', metadata.name, { type: 'merge', body })
}

/** Says that the worker was heard of, which holds no credential to say so itself. One that is not registered has none. */
async function renewWorkerLease({ store, clock, config }: NodeContext, nodeName: string): Promise<void> {
  if (config.workerNamespace === undefined) return
  const spec = { renewTime: formatMicroTime(clock.now()), leaseDurationSeconds: WORKER_LEASE_SECONDS }
  const name = workerLeaseName(nodeName)
  try {
    await store.patch(LEASES, config.workerNamespace, name, { type: 'merge', body: { spec } })
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
  }
}

async function renewLease({ store, clock }: NodeContext, nodeName: string): Promise<void> {
  const renewTime = formatMicroTime(clock.now())
  const present = await store.get(LEASES, NODE_LEASE_NAMESPACE, nodeName)
  if (present) {
    const body = { spec: { renewTime } }
    await store.patch(LEASES, NODE_LEASE_NAMESPACE, nodeName, { type: 'merge', body })
    return
  }
  await ensureNamespace(store)
  await store.create(LEASES, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: LEASES.kind,
    metadata: { namespace: NODE_LEASE_NAMESPACE, name: nodeName },
    spec: { holderIdentity: nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime },
  })
}

async function ensureNamespace(store: NodeContext['store']): Promise<void> {
  if (await store.get(NAMESPACES, '', NODE_LEASE_NAMESPACE)) return
  try {
    await store.create(NAMESPACES, {
      apiVersion: 'v1',
      kind: NAMESPACES.kind,
      metadata: { name: NODE_LEASE_NAMESPACE },
    })
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
}
