/** LimitRanges on a write: defaults for new guests, bounds for guests and claims. */
import type { PersistentVolumeClaim } from '../kinds/core.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { LimitRange } from '../kinds/quota.ts'
import { PVCS, VMIS } from '../kinds/table.ts'
import { isSameJson } from '../lib/json.ts'
import { claimFaults, guestFaults } from './limit-bounds.ts'
import { withDefaults } from './limit-range.ts'

/** A write that is about to happen. Its object has the type of its kind. */
export interface LimitedWrite {
  kind: Kind
  operation: 'CREATE' | 'UPDATE'
  object: KubeObject
  /** What stands there now, for an update. */
  old?: KubeObject
}

/** Whether LimitRanges say anything about objects of the kind. */
export function isRanged(kind: Kind): boolean {
  return kind === VMIS || kind === PVCS
}

/** The write, with what the ranges give to a new guest that says nothing. */
export function withRangeDefaults<T extends LimitedWrite>(write: T, ranges: readonly LimitRange[]): T {
  if (write.kind !== VMIS || write.operation !== 'CREATE' || ranges.length === 0) return write
  const vmi = write.object as Vmi
  const object: Vmi = { ...vmi, spec: withDefaults(vmi.spec, ranges) }
  return { ...write, object }
}

/**
 * Why `object`, which is to be stored, is out of bounds. What is going, and what asks for the same as before, is left
 * alone: the range may be younger.
 */
export function rangeFaults(
  { kind, old }: LimitedWrite,
  object: KubeObject,
  ranges: readonly LimitRange[],
): string[] {
  if (ranges.length === 0 || object.metadata.deletionTimestamp !== undefined) return []
  if (kind === VMIS) {
    const [{ spec }, before] = [object as Vmi, old as Vmi | undefined]
    return isSameJson(spec, before?.spec) ? [] : guestFaults(spec, ranges)
  }
  const [claim, before] = [object as PersistentVolumeClaim, old as PersistentVolumeClaim | undefined]
  return isSameJson(claim.spec?.['resources'], before?.spec?.['resources']) ? [] : claimFaults(claim, ranges)
}
