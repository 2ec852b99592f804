/** What is done to snapshots. Contract: admission-others.md, section 7. */
import { invalidValue, missingValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { needsGate } from '../gate.ts'
import { specIsKept } from '../keep.ts'
import type { SpecOf, TypedReference } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'

type Snapshot = SpecOf<{ source: TypedReference }>

/** A snapshot is of a VM. Contract: SNAP-004 … 006. */
function sourceIsVm({ object }: ReviewInput<Snapshot>): Cause[] {
  return vmIsNamed(object.spec.source ?? {}, 'spec.source')
}

/** A reference to a VM: its group, then its kind. Contract: SNAP-004 … 006, REST-004 … 006. */
export function vmIsNamed({ apiGroup, kind }: TypedReference, at: string): Cause[] {
  if (apiGroup === undefined || apiGroup === null) {
    return [missingValue(`${at}.apiGroup`, 'name the API group: kubevirt.io')]
  }
  const causes: Cause[] = []
  if (apiGroup !== 'kubevirt.io') {
    causes.push(invalidValue(`${at}.apiGroup`, `the API group is "${apiGroup}" and must be kubevirt.io`))
  } else if (kind !== 'VirtualMachine') {
    causes.push(invalidValue(`${at}.kind`, `the kind is "${kind ?? ''}" and must be VirtualMachine`))
  }
  return causes
}

/** Contract: SNAP-002. */
export const createSnapshot: KindAdmission<Snapshot> = {
  mutators: [],
  stages: [needsGate('Snapshot'), sourceIsVm],
}

/** Contract: SNAP-008. */
export const updateSnapshot: KindAdmission<Snapshot> = { mutators: [], stages: [specIsKept] }
