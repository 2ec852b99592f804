import type { Vmi } from '../../kinds/kubevirt.ts'
import type { AttachmentConfig } from '../../kinds/network-attachment.ts'
import { PERSISTENT_VOLUMES } from '../../kinds/persistent-volume.ts'
import { NAMESPACES } from '../../kinds/table.ts'
import { claimNamesOf } from '../../kinds/volumes.ts'
import { SCHEDULABLE_LABEL } from '../../kinds/worker-lease.ts'
import { asksNamespaces } from '../placement/neighbours.ts'
import type { Candidate, Needs, PlacedGuest, Situation } from '../placement/situation.ts'
import { placementConfig } from './config.ts'
import type { VmiContext } from './context.ts'
import { holdingsOf, isHeldAt } from './placed.ts'

/** What has to be asked for before a choice is made; the rest is read from caches with it. */
export type Gathered = Pick<Situation, 'needs' | 'namespaces'>

type GatherContext = Pick<VmiContext, 'store' | 'claims' | 'vmis' | 'config'>

/** Asks for what a choice of node for the guest depends on and no cache holds. */
export async function gather(
  context: GatherContext,
  vmi: Vmi,
  networks: Record<string, AttachmentConfig>,
): Promise<Gathered> {
  const bridges = Object.values(networks).flatMap(({ bridge }) => bridge ?? [])
  const volumeNodes = await volumeNodesOf(context, vmi)
  return { needs: { bridges, volumeNodes }, namespaces: await namespacesFor(context, vmi) }
}

/** All a choice depends on, as it is now. */
export function situationOf(
  context: Pick<VmiContext, 'nodes' | 'nodeObjects' | 'vmis' | 'memory' | 'config' | 'kubeVirts'>,
  gathered: Gathered,
): Situation {
  return {
    ...gathered,
    candidates: candidatesOf(context),
    guests: guestsOf(context),
    config: placementConfig(context),
  }
}

/** The nodes that have, or had, a worker. */
function candidatesOf({ nodes, nodeObjects }: Pick<VmiContext, 'nodes' | 'nodeObjects'>): Candidate[] {
  const ready = new Set(nodes.ready())
  return nodeObjects.list().flatMap((node) => {
    if (ready.has(node.metadata.name)) return [{ node }]
    const hadWorker = node.metadata.labels?.[SCHEDULABLE_LABEL] !== undefined
    return hadWorker ? [{ node, unfit: 'node(s) had no worker that answers' }] : []
  })
}

/** The guests that have nodes, and those that a node was just chosen for. */
function guestsOf({ vmis, memory }: Pick<VmiContext, 'vmis' | 'memory'>): PlacedGuest[] {
  const all = vmis.list()
  const placed = all.flatMap((vmi) => holdingsOf(vmi).map(({ nodeName }) => ({ vmi, nodeName })))
  const chosen = memory.chosen((uid, nodeName) =>
    all.some((vmi) => isHeldAt(vmi, uid, nodeName) || vmi.status?.migrationState?.migrationUid === uid),
  )
  return [...placed, ...chosen]
}

/** The nodes of volumes that are not everywhere. Where claims are directories of this machine, all are. */
async function volumeNodesOf(
  { store, claims, config }: GatherContext,
  { metadata, spec }: Vmi,
): Promise<Needs['volumeNodes']> {
  if (config.claimsDir !== undefined) return []
  const found: Needs['volumeNodes'][number][] = []
  for (const claimName of claimNamesOf(spec)) {
    const volumeName = claims.get(metadata.namespace, claimName)?.spec?.['volumeName']
    if (typeof volumeName !== 'string' || volumeName === '') continue
    const volume = await store.get(PERSISTENT_VOLUMES, '', volumeName)
    const required = volume?.spec?.nodeAffinity?.required
    if (required) found.push(required.nodeSelectorTerms)
  }
  return found
}

/** Namespaces are listed only where somebody selects guests by their labels. */
async function namespacesFor({ store, vmis }: GatherContext, vmi: Vmi): Promise<Situation['namespaces']> {
  if (![vmi, ...vmis.list()].some(asksNamespaces)) return new Map()
  const { items } = await store.list(NAMESPACES)
  return new Map(items.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]))
}
