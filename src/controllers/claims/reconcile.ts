import { type ClaimFacts, readClaim } from '../../kinds/claims.ts'
import type { DataVolume } from '../../kinds/cdi.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import { controllerOf } from '../../kinds/meta.ts'
import { DATA_VOLUMES, PVCS, VMIS } from '../../kinds/table.ts'
import { claimNamesOf } from '../../kinds/volumes.ts'
import { formatBytes } from '../../lib/quantity.ts'
import type { Informer } from '../../store/cache.ts'
import type { ControllerParts } from '../parts.ts'
import type { ClaimFiles } from './files.ts'

/** What a pass over a claim reads and may do. */
export interface ClaimContext extends Pick<ControllerParts, 'store' | 'events'> {
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>
  dataVolumes: Pick<Informer<DataVolume>, 'get'>
  files: ClaimFiles
}

/** The class of claims that are directories of this machine. */
export const LOCAL_CLASS = 'virtgate-local'
/** Keeps a claim until its directory is removed. */
export const CLAIM_FINALIZER = 'virtgate.io/local-volume'

/** One pass over a claim: makes its directory and says so; or removes it, once no guest uses it any more. */
export async function reconcileClaim(context: ClaimContext, namespace: string, name: string): Promise<void> {
  const claim = context.claims.get(namespace, name)
  if (!claim) return
  if (claim.metadata.deletionTimestamp !== undefined) return release(context, claim)
  const facts = readClaim(claim)
  const refusal = whyNotLocal(claim, facts)
  if (refusal !== undefined) {
    if (!facts.isBound) context.events.record(claim, 'Warning', 'ProvisioningFailed', refusal)
    return
  }
  const held = await withFinalizer(context, claim)
  await context.files.create(namespace, name)
  if (!facts.isBound && isBeingFilled(context, claim)) return
  await bind(context, held, facts)
}

/** Whether a DataVolume says that the claim does not hold yet what it is to hold. */
function isBeingFilled({ dataVolumes }: ClaimContext, claim: PersistentVolumeClaim): boolean {
  const owner = controllerOf(claim)
  if (owner?.kind !== DATA_VOLUMES.kind) return false
  const volume = dataVolumes.get(claim.metadata.namespace, owner.name)
  return volume?.metadata.uid === owner.uid && volume.status?.phase !== 'Succeeded'
}

function whyNotLocal(
  { spec = {} }: PersistentVolumeClaim,
  { storageClass, volumeMode, requestedBytes }: ClaimFacts,
): string | undefined {
  if (spec['dataSource'] || spec['dataSourceRef']) {
    return `${LOCAL_CLASS} does not fill claims from their dataSource: use a DataVolume with source.pvc`
  }
  if (storageClass !== undefined && storageClass !== LOCAL_CLASS) {
    return `there is no storage class "${storageClass}" here: use ${LOCAL_CLASS}, or leave storageClassName out`
  }
  if (volumeMode === 'Block') {
    return `${LOCAL_CLASS} has no volumes of volumeMode Block: use Filesystem`
  }
  if (requestedBytes <= 0n)
    return 'the claim does not say how large it is: set spec.resources.requests.storage'
  return undefined
}

/** Before the directory is made: it must not be left behind when the claim goes. */
async function withFinalizer(
  { store }: ClaimContext,
  claim: PersistentVolumeClaim,
): Promise<PersistentVolumeClaim> {
  const { finalizers = [] } = claim.metadata
  const spec = { ...claim.spec, storageClassName: LOCAL_CLASS }
  if (finalizers.includes(CLAIM_FINALIZER) && claim.spec?.['storageClassName'] === LOCAL_CLASS) return claim
  const metadata = { ...claim.metadata, finalizers: [...new Set([...finalizers, CLAIM_FINALIZER])] }
  return store.update(PVCS, { ...claim, metadata, spec })
}

/** A claim may grow, and never shrinks. */
async function bind(
  { store, events }: ClaimContext,
  claim: PersistentVolumeClaim,
  { requestedBytes, capacityBytes = 0n, accessModes, isBound }: ClaimFacts,
): Promise<void> {
  if (isBound && capacityBytes >= requestedBytes) return
  const bytes = requestedBytes > capacityBytes ? requestedBytes : capacityBytes
  const status = { ...claim.status, phase: 'Bound', accessModes, capacity: { storage: formatBytes(bytes) } }
  const stored = await store.update(PVCS, { ...claim, status }, { subresource: 'status' })
  if (!isBound)
    events.record(stored, 'Normal', 'ProvisioningSucceeded', 'bound to a directory of this machine')
}

async function release({ store, files }: ClaimContext, claim: PersistentVolumeClaim): Promise<void> {
  const { namespace, name, finalizers = [] } = claim.metadata
  if (!finalizers.includes(CLAIM_FINALIZER)) return
  // The store itself is asked: a cache may not have heard of a guest that was made a moment ago.
  const { items } = await store.list(VMIS, { namespace })
  const isUsed = items.some(
    ({ spec, status }) => !isFinal(status?.phase) && claimNamesOf(spec).includes(name),
  )
  if (isUsed) return
  await files.remove(namespace, name)
  const metadata = { ...claim.metadata, finalizers: finalizers.filter((one) => one !== CLAIM_FINALIZER) }
  await store.update(PVCS, { ...claim, metadata })
}
