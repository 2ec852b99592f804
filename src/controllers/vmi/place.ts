import { VMI_FINALIZER } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { findCondition, keyOf } from '../../kinds/meta.ts'
import type { VmiContext } from './context.ts'
import { advance } from './phases.ts'
import { withPlacement } from './placed.ts'
import { resolveReferences } from './references.ts'
import type { Reference } from './references.ts'
import { gather, situationOf } from './situation.ts'
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
  const hindrance = await choose(context, vmi)
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

/** Chooses a node and remembers the choice, so that nobody else gets its room. */
async function choose(context: VmiContext, vmi: Vmi): Promise<Hindrance | { nodeName: string }> {
  const { namespace } = vmi.metadata
  const { missing, networks } = await resolveReferences(context.store, namespace, vmi.spec)
  context.awaited.set(keyOf(vmi.metadata), namespace, missing)
  if (missing.length > 0) {
    return { type: 'Synchronized', reason: 'FailedCreate', message: describeMissing(missing) }
  }
  const absent = absentClaims(context, vmi)
  if (absent) return absent
  const gathered = await gather(context, vmi, networks)
  // Nothing is waited for from here on: what was looked at is as it was when the choice is remembered.
  const choice = context.placement(vmi, situationOf(context, gathered))
  if ('refusal' in choice) return { type: 'PodScheduled', reason: 'Unschedulable', message: choice.refusal }
  context.memory.choose(vmi.metadata.uid, choice.nodeName, vmi)
  return choice
}

function absentClaims(context: VmiContext, { metadata, spec }: Vmi): Hindrance | undefined {
  const claims = (spec.volumes ?? []).flatMap(
    ({ persistentVolumeClaim, dataVolume }) => persistentVolumeClaim?.claimName ?? dataVolume?.name ?? [],
  )
  const absent = claims.filter((name) => !context.claims.get(metadata.namespace, name))
  if (absent.length === 0) return undefined
  const message = `PersistentVolumeClaim ${absent.join(', ')} not found: create it, or change the volume that names it`
  return { type: 'Synchronized', reason: 'FailedPvcNotFound', message }
}

function describeMissing(missing: readonly Reference[]): string {
  const names = missing.map(({ kind, name }) => `${kind} ${name}`)
  return `${names.join(', ')} not found: create it, or change the field that names it`
}
