import type { DataVolume } from '../../kinds/cdi.ts'
import { readClaim } from '../../kinds/claims.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import { PVCS, VMIS } from '../../kinds/table.ts'
import { claimNamesOf } from '../../kinds/volumes.ts'
import { hasReason } from '../../lib/errors.ts'
import type { Informer } from '../../store/cache.ts'
import type { ClaimFiles, ClaimPlace } from '../claims/files.ts'
import { CLAIM_FINALIZER } from '../claims/reconcile.ts'
import type { ControllerParts } from '../parts.ts'
import { buildClaim, isClaimOf } from './claim.ts'
import { readSource } from './source.ts'
import { isOver, tell, type DataVolumeNews } from './state.ts'

/** What a pass over a DataVolume reads and may do. */
export interface DataVolumeContext extends Pick<ControllerParts, 'store' | 'events' | 'clock'> {
  dataVolumes: Pick<Informer<DataVolume>, 'get'>
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>
  files: ClaimFiles
  /** Asks for another pass over this DataVolume. */
  again: () => void
}

/** Its claim is on the way to be bound; the news of that brings the next pass. */
const underWay: DataVolumeNews = { phase: 'Pending', reason: 'Pending', message: 'the claim is made ready' }

/** One pass over a DataVolume: makes its claim and fills it. What it cannot be filled with, it says, and fails. */
export async function reconcileDataVolume(
  context: DataVolumeContext,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const volume = context.dataVolumes.get(namespace, name)
  if (!volume || volume.metadata.deletionTimestamp !== undefined || isOver(volume)) return
  const news = await fill(context, volume, signal)
  await tell(context, volume, news)
}

async function fill(
  context: DataVolumeContext,
  volume: DataVolume,
  signal: AbortSignal,
): Promise<DataVolumeNews> {
  const fillWith = readSource(volume)
  if ('refusal' in fillWith) return failed('UnsupportedSource', fillWith.refusal)
  const place = fillWith.from === 'claim' ? fillWith.claim : undefined
  const source = place && context.claims.get(place.namespace, place.name)
  if (place && !(source && readClaim(source).isBound)) {
    context.again()
    return waiting('CloneSourceNotFound', `there is no bound claim ${place.namespace}/${place.name} to clone`)
  }
  const claim = context.claims.get(volume.metadata.namespace, volume.metadata.name)
  if (!claim) return makeClaim(context, volume, source)
  if (!isClaimOf(claim, volume)) {
    context.again()
    return waiting('ErrResourceExists', 'there is a claim of this name that is not of this DataVolume')
  }
  // Its directory may be there from then on.
  if (!claim.metadata.finalizers?.includes(CLAIM_FINALIZER)) return underWay
  await context.files.create(volume.metadata.namespace, volume.metadata.name)
  return place ? clone(context, volume, place, signal) : done('the claim is empty, as it is to be')
}

async function makeClaim(
  { store, again }: DataVolumeContext,
  volume: DataVolume,
  source: PersistentVolumeClaim | undefined,
): Promise<DataVolumeNews> {
  const claim = buildClaim(volume, source && readClaim(source))
  if (typeof claim === 'string') return failed('ErrIncompatiblePVC', claim)
  try {
    await store.create(PVCS, claim)
    return underWay
  } catch (error) {
    if (hasReason(error, 'Invalid')) return failed('ErrClaimNotValid', error.message)
    if (!hasReason(error, 'Forbidden')) throw error
    // A quota, which may have room later.
    again()
    return waiting('ErrExceededQuota', error.message)
  }
}

/** In two passes: that it is cloned is told before. */
async function clone(
  context: DataVolumeContext,
  { metadata, status }: DataVolume,
  source: ClaimPlace,
  signal: AbortSignal,
): Promise<DataVolumeNews> {
  const what = `${source.namespace}/${source.name}`
  const inUse = (): DataVolumeNews => {
    context.again()
    const message = `the claim ${what} is used by a guest: it is cloned once that has ended`
    return { phase: 'CloneScheduled', reason: 'CloneSourceInUse', message, event: 'Warning' }
  }
  if (await isInUse(context, source)) return inUse()
  if (status?.phase !== 'CloneInProgress') {
    const message = `cloning ${what}`
    return { phase: 'CloneInProgress', reason: 'CloneInProgress', message, event: 'Normal' }
  }
  return (await context.files.copy(source, metadata, signal)) ? done(`cloned from ${what}`) : inUse()
}

/** The store itself is asked: a cache may not have heard of a guest that was made a moment ago. */
async function isInUse({ store }: DataVolumeContext, { namespace, name }: ClaimPlace): Promise<boolean> {
  const { items } = await store.list(VMIS, { namespace })
  return items.some(({ spec, status }) => !isFinal(status?.phase) && claimNamesOf(spec).includes(name))
}

function waiting(reason: string, message: string): DataVolumeNews {
  return { phase: 'Pending', reason, message, event: 'Warning' }
}

function failed(reason: string, message: string): DataVolumeNews {
  return { phase: 'Failed', reason, message, event: 'Warning' }
}

function done(message: string): DataVolumeNews {
  return { phase: 'Succeeded', reason: 'Completed', message, event: 'Normal' }
}
