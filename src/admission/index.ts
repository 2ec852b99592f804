/** What is done to which kind, in the order of the table of kinds. */
import { VMIMS, VMIS, VMS } from '../kinds/table.ts'
import type { AdmissionRequest } from './admission.ts'
import { createMigration, updateMigration } from './migrations/index.ts'
import type { KindAdmission } from './review-input.ts'
import { createVm, updateVm } from './vm/index.ts'
import { createVmi, updateVmi } from './vmi/index.ts'

interface Row {
  kind: { kind: string; group: string }
  CREATE: KindAdmission
  UPDATE: KindAdmission
}

/** A row whose rules know the type of its objects: that of the kind it stands under. */
function row(kind: Row['kind'], create: unknown, update: unknown): Row {
  return { kind, CREATE: create as KindAdmission, UPDATE: update as KindAdmission }
}

const ROWS: readonly Row[] = [
  row(VMS, createVm, updateVm),
  row(VMIS, createVmi, updateVmi),
  row(VMIMS, createMigration, updateMigration),
]

/** The rules for a request; `undefined` where there are none. */
export function admissionOf({ kind, operation, subresource }: AdmissionRequest): KindAdmission | undefined {
  if (subresource) return undefined
  return ROWS.find((candidate) => candidate.kind.kind === kind.kind && candidate.kind.group === kind.group)?.[
    operation
  ]
}
