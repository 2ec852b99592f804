import type { DataVolume } from '../../kinds/cdi.ts'
import { readClaim, type ClaimFacts } from '../../kinds/claims.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { apiVersionOf } from '../../kinds/kind.ts'
import { controllerOf, type Draft } from '../../kinds/meta.ts'
import { DATA_VOLUMES, PVCS } from '../../kinds/table.ts'
import { isRecord } from '../../lib/json.ts'
import { formatBytes } from '../../lib/quantity.ts'
import { ownerReferenceTo } from '../owner-reference.ts'

/** Whether a claim is the one that was made for this DataVolume. */
export function isClaimOf(claim: PersistentVolumeClaim, { metadata }: DataVolume): boolean {
  return controllerOf(claim)?.uid === metadata.uid
}

/**
 * The claim of a DataVolume: what its `storage` or `pvc` asks for, at least as large as `source`, whose copy it will be. A
 * sentence where it would be too small, or says no size.
 */
export function buildClaim(
  volume: DataVolume,
  source: ClaimFacts | undefined,
): Draft<PersistentVolumeClaim> | string {
  const { metadata, spec } = volume
  const asked: Record<string, unknown> = { ...(spec?.storage ?? spec?.pvc) }
  const { requestedBytes } = readClaim({ ...volume, spec: asked, status: {} })
  const sourceBytes = source ? (source.capacityBytes ?? source.requestedBytes) : 0n
  const bytes = requestedBytes || (spec?.storage ? sourceBytes : 0n)
  if (bytes <= 0n) return 'the DataVolume does not say how large it is: set resources.requests.storage'
  if (bytes < sourceBytes)
    return `the DataVolume asks for less than the ${formatBytes(sourceBytes)} of its source: ask for as much`
  const resources = isRecord(asked['resources']) ? asked['resources'] : {}
  return {
    apiVersion: apiVersionOf(PVCS),
    kind: PVCS.kind,
    metadata: {
      namespace: metadata.namespace,
      name: metadata.name,
      labels: { ...metadata.labels },
      ownerReferences: [ownerReferenceTo(DATA_VOLUMES, volume)],
    },
    spec: {
      ...asked,
      accessModes: asked['accessModes'] ?? ['ReadWriteOnce'],
      resources: { ...resources, requests: { storage: formatBytes(bytes) } },
    },
  }
}
