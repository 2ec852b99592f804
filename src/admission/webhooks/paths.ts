/** The webhooks: path → what is reviewed there, and how. Contract: admission-overview.md, sections 4 and 7. */
import type { Kind } from '../../kinds/kind.ts'
import * as kinds from '../../kinds/table.ts'
import type { JsonRecord } from '../../lib/json.ts'
import type { AdmissionParts } from '../judge.ts'
import { reviewEviction } from '../pods/eviction.ts'
import { completeLauncher } from '../pods/launcher.ts'
import type { PatchOperation } from './patch.ts'

/**
 * A step before the rules: the resource, the shape, the types. Each ends the review where it fails; `others` allows what
 * is of another resource, `status` looks at the shape of the status alone, by the kind of the object itself. `created`
 * allows what is not created, `written` refuses what is neither created nor changed.
 */
export type Step = 'resource' | 'shape' | 'decode' | 'status' | 'others' | 'created' | 'written'

/** What is reviewed at one path. */
export interface Webhook {
  path: string
  kind: Kind
  mutates: boolean
  steps: readonly Step[]
  /** Versions the resource may have; any where absent. */
  versions?: readonly string[]
  /** Reviewed by the rules of this operation, whatever the request says. */
  operation?: 'CREATE' | 'UPDATE'
  /** Other operations are allowed as they are. */
  onlyOperations?: readonly string[]
  /** Types of `spec` and `status`; without one only the members of the object itself are known. */
  spec?: string
  status?: string
  subresource?: 'status'
  /**
   * Of an update, the object as it was: it has to be there and readable where this is absent; `tolerated` counts an
   * unreadable one as none, `ignored` does not look at it.
   */
  old?: 'tolerated' | 'ignored'
  /** For reviews without an object of ours: what is done to them instead of all else. May throw a refusal. */
  review?: (parts: AdmissionParts, request: JsonRecord) => Promise<PatchOperation[] | void>
  /** Refused with every cause and without a code. Contract: ADM-DENY-004. */
  refusesWhole?: boolean
  /**
   * What a mutating one may change, by operation, in the order of the patch. Contract: MUT-VM-035, MUT-VMI-022,
   * MUT-MIG-004, MUT-CLN-006.
   */
  sections?: Partial<Record<'CREATE' | 'UPDATE', readonly string[]>>
}

const CORE = ['v1alpha3', 'v1'] as const
const SRD: readonly Step[] = ['shape', 'resource', 'decode']
const RSD: readonly Step[] = ['resource', 'shape', 'decode']
const RDS: readonly Step[] = ['resource', 'decode', 'shape']
const RD: readonly Step[] = ['resource', 'decode']
const RDW: readonly Step[] = ['resource', 'decode', 'written']
const SD: readonly Step[] = ['shape', 'decode']

type Row = Partial<Webhook> & Pick<Webhook, 'kind' | 'steps'>

function validating(path: string, row: Row): Webhook {
  return { path, mutates: false, ...row }
}

function mutating(path: string, row: Row): Webhook {
  return { path, mutates: true, ...row }
}

const WRITES = ['CREATE', 'UPDATE']
const VM = {
  kind: kinds.VMS,
  versions: CORE,
  spec: 'VirtualMachineSpec',
  status: 'VirtualMachineStatus',
}
const VMI = {
  kind: kinds.VMIS,
  versions: CORE,
  spec: 'VirtualMachineInstanceSpec',
  status: 'VirtualMachineInstanceStatus',
}
const VMIM = {
  kind: kinds.VMIMS,
  versions: CORE,
  spec: 'VirtualMachineInstanceMigrationSpec',
  status: 'VirtualMachineInstanceMigrationStatus',
}
const INSTANCETYPE = { spec: 'it.VirtualMachineInstancetypeSpec', steps: SD, onlyOperations: WRITES }
const PREFERENCE = { spec: 'it.VirtualMachinePreferenceSpec', steps: SD, onlyOperations: WRITES }
const CLONE = {
  kind: kinds.VM_CLONES,
  spec: 'clone.VirtualMachineCloneSpec',
  status: 'clone.VirtualMachineCloneStatus',
}

/** Every webhook, mutating ones first, in the order of registration. */
export const WEBHOOKS: readonly Webhook[] = [
  mutating('/virtualmachines-mutate', {
    ...VM,
    steps: RSD,
    sections: { CREATE: ['spec', 'metadata'], UPDATE: ['spec', 'metadata'] },
  }),
  mutating('/virtualmachineinstances-mutate', {
    ...VMI,
    steps: RSD,
    sections: { CREATE: ['spec', 'metadata', 'status'], UPDATE: ['status'] },
  }),
  mutating('/migration-mutate-create', {
    ...VMIM,
    steps: RSD,
    operation: 'CREATE',
    old: 'ignored',
    sections: { CREATE: ['metadata'] },
  }),
  mutating('/vm-clone-mutate-create', {
    ...CLONE,
    steps: RSD,
    operation: 'CREATE',
    old: 'ignored',
    sections: { CREATE: ['spec'] },
  }),
  mutating('/virt-launcher-pod-mutate', { kind: kinds.PODS, steps: [], review: completeLauncher }),
  validating('/pod-eviction-validate', { kind: kinds.PODS, steps: [], review: reviewEviction }),
  validating('/virtualmachineinstances-validate-create', { ...VMI, steps: SRD, operation: 'CREATE' }),
  validating('/virtualmachineinstances-validate-update', { ...VMI, steps: SRD, operation: 'UPDATE' }),
  validating('/virtualmachines-validate', { ...VM, steps: RSD, old: 'tolerated' }),
  validating('/virtualmachinereplicaset-validate', {
    kind: kinds.VMIRS,
    versions: CORE,
    steps: RSD,
    old: 'tolerated',
    spec: 'VirtualMachineInstanceReplicaSetSpec',
    status: 'VirtualMachineInstanceReplicaSetStatus',
  }),
  validating('/virtualmachinepool-validate', {
    kind: kinds.VM_POOLS,
    versions: ['v1beta1'],
    steps: RSD,
    old: 'tolerated',
    spec: 'pool.VirtualMachinePoolSpec',
    status: 'pool.VirtualMachinePoolStatus',
  }),
  validating('/vmipreset-validate', {
    kind: kinds.VMI_PRESETS,
    versions: CORE,
    steps: RSD,
    old: 'ignored',
    spec: 'VirtualMachineInstancePresetSpec',
  }),
  validating('/migration-validate-create', { ...VMIM, steps: RDS, operation: 'CREATE', old: 'ignored' }),
  validating('/migration-validate-update', { ...VMIM, steps: RDS, operation: 'UPDATE' }),
  validating('/virtualmachinesnapshots-validate', {
    kind: kinds.VM_SNAPSHOTS,
    steps: RDW,
    spec: 'snap.VirtualMachineSnapshotSpec',
  }),
  validating('/virtualmachinerestores-validate', {
    kind: kinds.VM_RESTORES,
    steps: RDW,
    spec: 'snap.VirtualMachineRestoreSpec',
  }),
  validating('/virtualmachinebackups-validate', {
    kind: kinds.VM_BACKUPS,
    steps: ['resource', 'created', 'decode'],
    spec: 'backup.VirtualMachineBackupSpec',
  }),
  validating('/virtualmachinebackuptrackers-validate', {
    kind: kinds.VM_BACKUP_TRACKERS,
    steps: ['resource'],
    old: 'ignored',
  }),
  validating('/virtualmachineexports-validate', {
    kind: kinds.VM_EXPORTS,
    steps: RDW,
    spec: 'export.VirtualMachineExportSpec',
  }),
  validating('/virtualmachineinstancetypes-validate', { ...INSTANCETYPE, kind: kinds.INSTANCETYPES }),
  validating('/virtualmachineclusterinstancetypes-validate', {
    ...INSTANCETYPE,
    kind: kinds.CLUSTER_INSTANCETYPES,
  }),
  validating('/virtualmachinepreferences-validate', { ...PREFERENCE, kind: kinds.PREFERENCES }),
  validating('/virtualmachineclusterpreferences-validate', {
    ...PREFERENCE,
    kind: kinds.CLUSTER_PREFERENCES,
  }),
  validating('/status-validate', { ...VM, steps: ['status', 'others', 'decode'], subresource: 'status' }),
  validating('/migration-policy-validate-create', {
    kind: kinds.MIGRATION_POLICIES,
    steps: RD,
    old: 'tolerated',
    spec: 'mp.MigrationPolicySpec',
  }),
  validating('/vm-clone-validate-create', { ...CLONE, steps: RD, old: 'ignored' }),
  validating('/plugin-validate', {
    kind: kinds.PLUGINS,
    steps: RD,
    spec: 'plugin.PluginSpec',
    old: 'ignored',
    refusesWhole: true,
  }),
]
