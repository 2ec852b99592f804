import type { Vmi, Vmim } from '../../kinds/kubevirt.ts'
import { findCondition } from '../../kinds/meta.ts'
import { configurationOf } from '../../kinds/configuration.ts'
import type { Candidate, Choice } from '../placement/situation.ts'
import { placementOf } from '../vmi/placed.ts'
import { resolveReferences } from '../vmi/references.ts'
import { gather, situationOf, type Gathered } from '../vmi/situation.ts'
import { writeVmi } from '../vmi/write.ts'
import type { MigrationContext } from './context.ts'
import { findPolicy } from './policy.ts'
import { migrationSettings, withPolicy } from './settings.ts'
import { begun } from './state.ts'

/** What came of an attempt to begin: the VMI with the target, why there is none yet, or why there never will be. */
export type Beginning = { vmi: Vmi } | { waits: string } | { failure: string }

/** Chooses a target and writes it down, with the settings that are to count. Source: contract worker-qemu 5.2, step 0. */
export async function begin(context: MigrationContext, vmi: Vmi, vmim: Vmim): Promise<Beginning> {
  const obstacle = obstacleTo(context, vmi)
  if (obstacle) return obstacle
  const { memory, watch, store, kubeVirts } = context
  const { uid } = vmim.metadata
  const { networks } = await resolveReferences(store, vmi.metadata.namespace, vmi.spec)
  const gathered = await gather(context, vmi, networks)
  const choice = choose(context, vmi, vmim, gathered)
  if ('refusal' in choice) return { waits: choice.refusal }
  const { nodeName } = choice
  memory.choose(uid, nodeName, vmi)
  try {
    const policy = await findPolicy(store, vmi)
    const settings = migrationSettings(configurationOf(kubeVirts.list()))
    const configuration = withPolicy(settings, policy)
    // What an earlier migration has left there is gone, and says nothing of this one.
    if (watch.view(nodeName)?.guest(vmi.metadata.uid)?.gone) watch.view(nodeName)?.forget(vmi.metadata.uid)
    const next = begun(vmi, uid, nodeName, { configuration, policy: policy?.metadata.name })
    return { vmi: await writeVmi(context, vmi, next) }
  } catch (error) {
    memory.unchoose(uid)
    throw error
  }
}

/** Why the guest cannot be moved: for good, or not now. */
function obstacleTo({ watch }: MigrationContext, vmi: Vmi): Exclude<Beginning, { vmi: Vmi }> | undefined {
  const { metadata, status } = vmi
  if (metadata.deletionTimestamp !== undefined) return { failure: 'aborted: the VMI is being deleted' }
  const migratable = findCondition(status?.conditions, 'LiveMigratable')
  if (migratable?.status === 'False') {
    const word = migratable.reason === 'DisksNotLiveMigratable' ? 'storage' : 'incompatible-target'
    return { failure: `${word}: the guest cannot be moved: ${migratable.message ?? migratable.reason ?? ''}` }
  }
  const nodeName = placementOf(vmi)
  const view = nodeName === undefined ? undefined : watch.view(nodeName)
  if (status?.phase !== 'Running') return { waits: 'the guest does not run yet' }
  if (!view?.connection.connected)
    return { waits: `node ${nodeName}, on which the guest is, does not answer` }
  const phase = view.guest(metadata.uid)?.report.migration?.phase
  const isBusy = phase === 'running' || phase === 'handedOver'
  return isBusy ? { waits: `node ${nodeName} is still busy with the migration before` } : undefined
}

/** As for a guest that is to be started, but for nodes where one that runs cannot go on. */
function choose(context: MigrationContext, vmi: Vmi, { spec }: Vmim, gathered: Gathered): Choice {
  const source = context.nodeObjects.get('', placementOf(vmi) ?? '')
  const situation = situationOf(context, gathered)
  const candidates = situation.candidates.map((candidate): Candidate => {
    const unfit = candidate.unfit ?? whyUnfit(context, vmi, candidate, source?.metadata.labels)
    return { ...candidate, ...(unfit !== undefined && { unfit }) }
  })
  // On equal keys the guest's own selector wins: what is added may only narrow it.
  const nodeSelector = { ...spec.addedNodeSelector, ...vmi.spec.nodeSelector }
  const wanted = { ...vmi, spec: { ...vmi.spec, nodeSelector } }
  return context.placement(wanted, { ...situation, candidates })
}

const MACHINE_TYPE = 'machine-type.node.kubevirt.io/'
const ACCELERATOR = 'virtgate.io/accelerator'

/** Why a guest that runs cannot go on at that node; a guest that is to be started might. */
function whyUnfit(
  { watch }: MigrationContext,
  vmi: Vmi,
  { node }: Candidate,
  source: Record<string, string> | undefined,
): string | undefined {
  const { name, labels = {} } = node.metadata
  if (name === placementOf(vmi)) return 'node(s) had the guest already'
  const left = watch.view(name)?.guest(vmi.metadata.uid)
  if (left && !left.gone) return 'node(s) still had what an earlier migration left'
  if (!watch.view(name)?.connection.connected) return 'node(s) did not answer'
  const type = vmi.status?.machine?.type
  const knowsTypes = Object.keys(labels).some((label) => label.startsWith(MACHINE_TYPE))
  if (type && knowsTypes && labels[MACHINE_TYPE + type] !== 'true') {
    return `node(s) did not know the machine type ${type}`
  }
  const [from, to] = [source?.[ACCELERATOR], labels[ACCELERATOR]]
  return from && to && from !== to ? `node(s) ran guests with ${to}, not ${from}` : undefined
}
