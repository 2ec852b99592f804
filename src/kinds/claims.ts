/** What is read from a PersistentVolumeClaim. Source: its `spec` and `status` in the Kubernetes API reference. */
import { isRecord } from '../lib/json.ts'
import { isQuantity, quantityToBytes } from '../lib/quantity.ts'
import type { PersistentVolumeClaim } from './core.ts'

/** A claim's spec and status, read and with defaults filled in. */
export interface ClaimFacts {
  volumeMode: 'Filesystem' | 'Block'
  accessModes: string[]
  /** `undefined` where the claim names no class; '' where it wants none. */
  storageClass: string | undefined
  /** `spec.resources.requests.storage`; 0 where it is not given or no quantity. */
  requestedBytes: bigint
  /** `status.capacity.storage`; `undefined` before there is a volume. */
  capacityBytes: bigint | undefined
  isBound: boolean
}

/** What a claim asks for and has. */
export function readClaim({ spec = {}, status }: PersistentVolumeClaim): ClaimFacts {
  const { volumeMode, accessModes, storageClassName, resources } = spec
  const requests = isRecord(resources) ? resources['requests'] : undefined
  const requested = isRecord(requests) ? requests['storage'] : undefined
  return {
    volumeMode: volumeMode === 'Block' ? 'Block' : 'Filesystem',
    accessModes: Array.isArray(accessModes) ? accessModes.filter((mode) => typeof mode === 'string') : [],
    storageClass: typeof storageClassName === 'string' ? storageClassName : undefined,
    requestedBytes: bytesOf(requested) ?? 0n,
    capacityBytes: bytesOf(status?.capacity?.['storage']),
    isBound: status?.phase === 'Bound',
  }
}

/** Access modes under which a claim can be written to. */
const WRITABLE_MODES = ['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod']

/** Whether one of the claim's access modes allows to write. */
export function isWritable({ accessModes }: Pick<ClaimFacts, 'accessModes'>): boolean {
  return accessModes.some((mode) => WRITABLE_MODES.includes(mode))
}

function bytesOf(value: unknown): bigint | undefined {
  return isQuantity(value) ? quantityToBytes(value) : undefined
}
