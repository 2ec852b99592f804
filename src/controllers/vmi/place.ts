import { VMI_FINALIZER } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { findCondition, keyOf } from '../../kinds/meta.ts'
import { guestConfig } from './config.ts'
import type { VmiContext } from './context.ts'
import { advance } from './phases.ts'
import { withPlacement } from './placed.ts'
import { requestedMemory } from './placement.ts'
import type { Candidate } from './placement.ts'
import { resolveReferences } from './references.ts'
import type { Reference } from './references.ts'
import { dropCondition, nowOf, setCondition, withReadiness, writeVmi } from './write.ts'

/** Milliseconds until an attempt to place a guest is repeated even if nothing was heard to change. */
const RETRY_MS = 30_000
const NOT_PLACED = { nodeAway: false, progress: undefined }

/** Why a guest cannot be given to a node yet. */
interface Hindrance {
  type: 'Synchronized' | 'PodScheduled'
  reason: string
  message: string
}

/**
 * Chooses a node for a VMI that has none, once all it names exists; returns the VMI with the choice stored, or
 * nothing where it has to wait. Source: contract 7.4 and 7.5.
 */
export async function place(context: VmiContext, vmi: Vmi): Promise<Vmi | undefined> {
  const hindrance = (await missingParts(context, vmi)) ?? choose(context, vmi)
  if ('nodeName' in hindrance) return settle(context, vmi, hindrance.nodeName)
  const { type, reason, message } = hindrance
  const now = nowOf(context)
  const other = type === 'Synchronized' ? 'PodScheduled' : 'Synchronized'
  const waiting = dropCondition(advance(vmi, 'Pending', now), other)
  const condition = { type, status: 'False', reason, message } as const
  const isNew = findCondition(vmi.status?.conditions, type)?.message !== message
  if (isNew)
    context.events.record(vmi, 'Warning', type === 'PodScheduled' ? 'FailedScheduling' : reason, message)
  await writeVmi(context, vmi, withReadiness(setCondition(waiting, condition, now), NOT_PLACED, now))
  context.again(RETRY_MS)
  return undefined
}

async function settle(context: VmiContext, vmi: Vmi, nodeName: string): Promise<Vmi> {
  const { memory, events } = context
  const { uid, finalizers = [] } = vmi.metadata
  const now = nowOf(context)
  memory.choose(uid, nodeName, requestedMemory(vmi))
  const clean = dropCondition(dropCondition(vmi, 'PodScheduled'), 'Synchronized')
  const chosen = withPlacement(advance(clean, 'Scheduling', now), nodeName)
  // Admission adds the finalizer; a guest without it could be lost from sight while it runs.
  const metadata = { ...vmi.metadata, finalizers: [...new Set([...finalizers, VMI_FINALIZER])] }
  try {
    const stored = await writeVmi(context, vmi, withReadiness({ ...chosen, metadata }, NOT_PLACED, now))
    events.record(stored, 'Normal', 'Scheduled', `Placed on node ${nodeName}`)
    return stored
  } catch (error) {
    memory.unchoose(uid)
    throw error
  }
}

async function missingParts(context: VmiContext, vmi: Vmi): Promise<Hindrance | undefined> {
  const { namespace } = vmi.metadata
  const { missing } = await resolveReferences(context.store, namespace, vmi.spec)
  context.awaited.set(keyOf(vmi.metadata), namespace, missing)
  if (missing.length > 0) {
    return { type: 'Synchronized', reason: 'FailedCreate', message: describeMissing(missing) }
  }
  const claims = (vmi.spec.volumes ?? []).flatMap(
    ({ persistentVolumeClaim, dataVolume }) => persistentVolumeClaim?.claimName ?? dataVolume?.name ?? [],
  )
  const absent = claims.filter((name) => !context.claims.get(namespace, name))
  if (absent.length === 0) return undefined
  const message = `PersistentVolumeClaim ${absent.join(', ')} not found: create it, or change the volume that names it`
  return { type: 'Synchronized', reason: 'FailedPvcNotFound', message }
}

function describeMissing(missing: readonly Reference[]): string {
  const names = missing.map(({ kind, name }) => `${kind} ${name}`)
  return `${names.join(', ')} not found: create it, or change the field that names it`
}

function choose(context: VmiContext, vmi: Vmi): Hindrance | { nodeName: string } {
  const choice = context.placement(vmi, candidates(context), guestConfig(context))
  if ('nodeName' in choice) return choice
  return { type: 'PodScheduled', reason: 'Unschedulable', message: choice.refusal }
}

/** The nodes that are ready for guests, with what is asked of each: by those it has and by those on their way to it. */
export function candidates({
  nodes,
  nodeObjects,
  vmis,
  memory,
}: Pick<VmiContext, 'nodes' | 'nodeObjects' | 'vmis' | 'memory'>): Candidate[] {
  return nodes.ready().flatMap((nodeName) => {
    const node = nodeObjects.get('', nodeName)
    if (!node) return []
    const guests = vmis.by('node', nodeName)
    const known = new Set(
      guests.flatMap(({ metadata, status }) => [metadata.uid, status?.migrationState?.migrationUid ?? '']),
    )
    const sum = guests.reduce((bytes, guest) => bytes + requestedMemory(guest), 0n)
    return { node, requestedBytes: sum + memory.chosenBytes(nodeName, known) }
  })
}
