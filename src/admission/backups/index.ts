/** What is done to backups and their trackers. Contract: admission-others.md, sections 9 and 10. */
import { isTrue, type Condition } from '../../kinds/meta.ts'
import { VM_BACKUPS } from '../../kinds/table.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { AdmissionRequest } from '../admission.ts'
import { needsGate } from '../gate.ts'
import type { SpecOf, TypedReference } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'

interface Backup extends SpecOf<{ source: TypedReference }> {
  status?: { conditions?: Condition[] }
}

async function gatherBackups({ namespace }: AdmissionRequest, reader: ObjectReader): Promise<Backup[]> {
  const { items } = await reader.list(VM_BACKUPS, { namespace })
  // What is stored under the kind has its type.
  return items as Backup[]
}

/** A VM is backed up once at a time. Contract: BKP-005, BKP-006. */
function sourceIsFree({ object, facts }: ReviewInput<Backup, Backup[]>): Cause[] {
  for (const other of facts) {
    const { name } = other.metadata
    if (name === object.metadata.name)
      return [invalidValue('metadata.name', `there is a backup "${name}" already: choose another name`)]
    if (isOver(other) || !isSameJson(other.spec.source, object.spec.source)) continue
    return [invalidValue('spec.source', `it is being backed up by "${name}": wait until that is done`)]
  }
  return []
}

function isOver({ status }: Backup): boolean {
  return isTrue(status?.conditions, 'Complete') || isTrue(status?.conditions, 'Failed')
}

/** Contract: BKP-002. */
export const createBackup: KindAdmission<Backup, Backup[]> = {
  gather: gatherBackups,
  mutators: [],
  stages: [needsGate('IncrementalBackup'), sourceIsFree],
}

/** Contract: BKT-002, BKT-003. */
export const createBackupTracker: KindAdmission = { mutators: [], stages: [needsGate('IncrementalBackup')] }

/** Contract: BKP-003, BKT-003. */
export const updateBackup: KindAdmission = { mutators: [], stages: [] }
