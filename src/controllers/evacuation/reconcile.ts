import { formatTime } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import { configurationOf } from '../../kinds/configuration.ts'
import type { Node } from '../../kinds/core.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import type { KubeVirt, Vmi, Vmim } from '../../kinds/kubevirt.ts'
import { apiVersionOf } from '../../kinds/kind.ts'
import { findCondition, keyOf } from '../../kinds/meta.ts'
import { EVACUATION_ANNOTATION, isMigrationOver, VMI_NAME_LABEL } from '../../kinds/migration.ts'
import { VMIMS } from '../../kinds/table.ts'
import { checkLabelValue } from '../../lib/names.ts'
import type { Informer } from '../../store/cache.ts'
import { withCondition, withoutCondition } from '../conditions.ts'
import { sinceMs } from '../migration/phases.ts'
import { migrationSettings } from '../migration/settings.ts'
import { EVICTION_REQUESTED } from '../migration/state.ts'
import type { ControllerParts } from '../parts.ts'
import { placementOf } from '../vmi/placed.ts'
import { writeVmi } from '../vmi/write.ts'

/** Milliseconds after a failed evacuation until the next one: doubled with each, up to the limit. */
const BACKOFF_MS = 20_000
const LONGEST_BACKOFF_MS = 300_000
/** Ways to leave a node that are ours to go. Source: contract, admission-others 15. */
const MIGRATING = ['LiveMigrate', 'LiveMigrateIfPossible']

/** What a pass over a VMI reads and may do. */
export interface EvacuationContext extends Pick<ControllerParts, 'store' | 'events' | 'clock'> {
  vmis: Pick<Informer<Vmi>, 'get'>
  vmims: Pick<Informer<Vmim>, 'by'>
  nodeObjects: Pick<Informer<Node>, 'get'>
  kubeVirts: Pick<Informer<KubeVirt>, 'list'>
  /** Asks for another pass over this VMI. */
  again: (delayMs: number) => void
}

/** One pass over a VMI: has its guest moved where its node is being emptied, or where it was asked to leave. */
export async function reconcileEvacuation(
  context: EvacuationContext,
  namespace: string,
  name: string,
): Promise<void> {
  const cached = context.vmis.get(namespace, name)
  if (!cached || cached.metadata.deletionTimestamp !== undefined || isFinal(cached.status?.phase)) return
  const vmi = await writeRequest(context, cached)
  if (vmi.status?.phase !== 'Running' || !mustLeave(context, vmi)) return
  if (!MIGRATING.includes(strategyOf(context, vmi))) return
  const migratable = findCondition(vmi.status.conditions, 'LiveMigratable')
  if (migratable?.status === 'False') {
    const message = `the guest has to leave its node and cannot be moved: ${migratable.message ?? ''}`
    return context.events.record(vmi, 'Warning', 'FailedEvacuation', message)
  }
  const vmims = context.vmims.by('vmi', keyOf({ namespace, name }))
  if (vmims.some(({ status }) => !isMigrationOver(status?.phase))) return
  const waitMs = backoffLeftMs(context, vmims)
  if (waitMs > 0) return context.again(waitMs)
  await createEvacuation(context, vmi)
}

/** Keeps the condition that shows the request; a request to leave a node that the guest is not on is met. */
async function writeRequest(context: EvacuationContext, vmi: Vmi): Promise<Vmi> {
  const { evacuationNodeName, ...status } = vmi.status ?? {}
  const nodeName = placementOf(vmi)
  const isAsked = Boolean(evacuationNodeName) && evacuationNodeName === nodeName
  const before = status.conditions ?? []
  const now = formatTime(context.clock.now())
  const message = `the guest has to leave node ${evacuationNodeName}`
  const reason = 'EvictionRequested'
  const conditions = isAsked
    ? withCondition(before, { type: EVICTION_REQUESTED, status: 'True', reason, message }, now)
    : withoutCondition(before, EVICTION_REQUESTED)
  const isMet = Boolean(evacuationNodeName) && nodeName !== undefined && !isAsked
  if (!isMet && isSameJson(conditions, before)) return vmi
  const kept = evacuationNodeName !== undefined && !isMet && { evacuationNodeName }
  return writeVmi(context, vmi, { ...vmi, status: { ...status, ...kept, conditions: [...conditions] } })
}

/** Whether the guest's node is being emptied, or the guest was asked to leave it. */
function mustLeave({ nodeObjects, kubeVirts }: EvacuationContext, vmi: Vmi): boolean {
  const nodeName = placementOf(vmi)
  if (nodeName === undefined) return false
  if (vmi.status?.evacuationNodeName === nodeName) return true
  const { nodeDrainTaintKey } = migrationSettings(configurationOf(kubeVirts.list()))
  const taints = nodeObjects.get('', nodeName)?.spec?.taints ?? []
  return taints.some(({ key, effect }) => key === nodeDrainTaintKey && effect === 'NoSchedule')
}

function strategyOf({ kubeVirts }: EvacuationContext, { spec }: Vmi): string {
  const { evictionStrategy } = configurationOf(kubeVirts.list())
  return spec.evictionStrategy ?? (typeof evictionStrategy === 'string' ? evictionStrategy : 'None')
}

/** Milliseconds until another attempt, given the evacuations of the VMI that have just failed. */
function backoffLeftMs({ clock }: EvacuationContext, vmims: readonly Vmim[]): number {
  const newest = vmims
    .filter(({ metadata }) => metadata.annotations?.[EVACUATION_ANNOTATION] !== undefined)
    .toSorted((left, right) => sinceMs(right, 'Pending') - sinceMs(left, 'Pending'))
  const failures = newest.findIndex(({ status }) => status?.phase !== 'Failed')
  const count = failures < 0 ? newest.length : failures
  const [last] = newest
  if (!last || count === 0) return 0
  const delayMs = Math.min(BACKOFF_MS * 2 ** (count - 1), LONGEST_BACKOFF_MS)
  return sinceMs(last, 'Failed') + delayMs - clock.now()
}

async function createEvacuation({ store, events }: EvacuationContext, vmi: Vmi): Promise<void> {
  const { namespace, name } = vmi.metadata
  const nodeName = placementOf(vmi) ?? ''
  if (checkLabelValue(name).length > 0) {
    const message = 'the guest cannot be moved: its name is longer than a label may be'
    return events.record(vmi, 'Warning', 'FailedEvacuation', message)
  }
  // The cache may not have heard of one that was made a moment ago.
  const { items } = await store.list(VMIMS, { namespace, labelSelector: `${VMI_NAME_LABEL}=${name}` })
  if (items.some(({ status }) => !isMigrationOver(status?.phase))) return
  const created = await store.create(VMIMS, {
    apiVersion: apiVersionOf(VMIMS),
    kind: VMIMS.kind,
    metadata: {
      namespace,
      generateName: 'kubevirt-evacuation-',
      labels: { [VMI_NAME_LABEL]: name },
      annotations: { [EVACUATION_ANNOTATION]: nodeName },
    },
    spec: { vmiName: name, priority: 'system-critical' },
  })
  const message = `Created migration ${created.metadata.name}: the guest has to leave node ${nodeName}`
  events.record(vmi, 'Normal', 'SuccessfulCreate', message)
}
