/** What quotas count of a claim. Source: the evaluator of claims in Kubernetes' quota admission. */
import type { PersistentVolumeClaim } from '../kinds/core.ts'
import { isRecord } from '../lib/json.ts'
import { isQuantity } from '../lib/quantity.ts'
import { ONE, readAmounts } from './amounts.ts'

const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class'

/** Storage in all and by class. A claim that names no class is of `defaultClass`, where there is one. */
export function claimCharges(
  claim: PersistentVolumeClaim,
  defaultClass: string | undefined,
): Map<string, bigint> {
  const storage = claimedStorage(claim)
  const charges = new Map([['requests.storage', storage]])
  const name = claim.metadata.annotations?.[CLASS_ANNOTATION] ?? classOf(claim) ?? defaultClass
  if (!name) return charges
  charges.set(`${name}.storageclass.storage.k8s.io/requests.storage`, storage)
  charges.set(`${name}.storageclass.storage.k8s.io/persistentvolumeclaims`, ONE)
  return charges
}

/** What it asks for, in billionths of a byte; a claim that shrinks counts as what it still has. */
export function claimedStorage({ spec, status }: PersistentVolumeClaim): bigint {
  const grown: unknown = status
  const resources = isRecord(spec?.['resources']) ? spec['resources'] : {}
  const requested = amountOf(resources['requests'])
  // Newer than the type: what is being taken while a claim is resized.
  const allocated = isRecord(grown) ? amountOf(grown['allocatedResources']) : 0n
  return requested > allocated ? requested : allocated
}

function amountOf(list: unknown): bigint {
  const storage = isRecord(list) ? list['storage'] : undefined
  return isQuantity(storage) ? (readAmounts({ storage }).get('storage') ?? 0n) : 0n
}

function classOf({ spec }: PersistentVolumeClaim): string | undefined {
  const name = spec?.['storageClassName']
  return typeof name === 'string' ? name : undefined
}
