/** What is done to which kind, in the order of the table of kinds. */
import {
  CLUSTER_INSTANCETYPES,
  CLUSTER_PREFERENCES,
  INSTANCETYPES,
  MIGRATION_POLICIES,
  PLUGINS,
  PREFERENCES,
  VM_BACKUP_TRACKERS,
  VM_BACKUPS,
  VM_CLONES,
  VM_EXPORTS,
  VM_POOLS,
  VM_RESTORES,
  VM_SNAPSHOTS,
  VMI_PRESETS,
  VMIMS,
  VMIRS,
  VMIS,
  VMS,
} from '../kinds/table.ts'
import type { AdmissionRequest } from './admission.ts'
import { createBackup, createBackupTracker, updateBackup } from './backups/index.ts'
import { createClone, updateClone } from './clones/index.ts'
import { createExport, updateExport } from './exports/index.ts'
import { instancetypeAdmission, preferenceAdmission } from './instancetypes/index.ts'
import { migrationPolicyAdmission } from './migration-policies/index.ts'
import { createMigration, updateMigration } from './migrations/index.ts'
import { createPlugin, updatePlugin } from './plugins/index.ts'
import { poolAdmission } from './pools/index.ts'
import { presetAdmission } from './presets/index.ts'
import { replicaSetAdmission } from './replica-sets/index.ts'
import { createRestore, updateRestore } from './restores/index.ts'
import type { KindAdmission } from './review-input.ts'
import { createSnapshot, updateSnapshot } from './snapshots/index.ts'
import { createVm, updateVm, updateVmStatus } from './vm/index.ts'
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
  row(MIGRATION_POLICIES, migrationPolicyAdmission, migrationPolicyAdmission),
  row(VMIRS, replicaSetAdmission, replicaSetAdmission),
  row(VMI_PRESETS, presetAdmission, presetAdmission),
  row(VM_POOLS, poolAdmission, poolAdmission),
  row(VM_SNAPSHOTS, createSnapshot, updateSnapshot),
  row(VM_RESTORES, createRestore, updateRestore),
  row(VM_BACKUPS, createBackup, updateBackup),
  row(VM_BACKUP_TRACKERS, createBackupTracker, updateBackup),
  row(PLUGINS, createPlugin, updatePlugin),
  row(VM_EXPORTS, createExport, updateExport),
  row(VM_CLONES, createClone, updateClone),
  row(INSTANCETYPES, instancetypeAdmission, instancetypeAdmission),
  row(CLUSTER_INSTANCETYPES, instancetypeAdmission, instancetypeAdmission),
  row(PREFERENCES, preferenceAdmission, preferenceAdmission),
  row(CLUSTER_PREFERENCES, preferenceAdmission, preferenceAdmission),
]

/** The rules for a request; `undefined` where there are none. */
export function admissionOf({ kind, operation, subresource }: AdmissionRequest): KindAdmission | undefined {
  if (subresource) return kind.kind === VMS.kind ? (updateVmStatus as unknown as KindAdmission) : undefined
  return ROWS.find((candidate) => candidate.kind.kind === kind.kind && candidate.kind.group === kind.group)?.[
    operation
  ]
}
