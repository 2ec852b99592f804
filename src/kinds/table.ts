/**
 * The table of kinds: every kind this program serves, stores or ships a CRD for. Routes, discovery,
 * validation, table output and CRDs are read from it, so that nothing is listed twice.
 */
import type { Column, Kind } from './kind.ts'
import type { KubeObject } from './meta.ts'
import type { CdiConfig, DataSource, DataVolume } from './cdi.ts'
import type { Instancetype, Preference } from './instancetype.ts'
import type { KubeVirt, Vm, Vmi, Vmim } from './kubevirt.ts'
import type { MigrationPolicy } from './migration.ts'
import type { NetworkAttachment } from './network-attachment.ts'
import type { LimitRange, ResourceQuota } from './quota.ts'
import type { ApiService, WebhookConfiguration } from './registrations.ts'
import type * as core from './core.ts'

type Row<T extends KubeObject> = Partial<Kind<T>> & Pick<Kind<T>, 'kind' | 'plural'>

/** Where JSONPaths do not do for its columns, they stand in `embedded/tables/built-in.ts`. */
function builtIn<T extends KubeObject>(group: string, version: string, row: Row<T>): Kind<T> {
  const schemaGroup = group.split('.', 1)[0] || 'core'
  return {
    group,
    version,
    singular: row.kind.toLowerCase(),
    namespaced: true,
    hasStatus: false,
    builtIn: true,
    schema: `io.k8s.api.${schemaGroup}.${version}.${row.kind}`,
    columns: [],
    ...row,
  }
}

function custom<T extends KubeObject>(group: string, version: string, row: Row<T>): Kind<T> {
  return {
    group,
    version,
    singular: row.kind.toLowerCase(),
    namespaced: true,
    hasStatus: true,
    builtIn: false,
    schema: `${version}.${row.kind}`,
    columns: [],
    ...row,
  }
}

function column(name: string, type: Column['type'], jsonPath: string, priority = 0): Column {
  return { name, type, jsonPath, ...(priority && { priority }) }
}

const AGE = column('Age', 'date', '.metadata.creationTimestamp')
const PHASE = column('Phase', 'string', '.status.phase')
function condition(name: string, type: string, priority = 0): Column {
  return column(name, 'string', `.status.conditions[?(@.type=='${type}')].status`, priority)
}

export const NAMESPACES: Kind<core.Namespace> = builtIn('', 'v1', {
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  hasStatus: true,
})
export const SECRETS: Kind<core.Secret> = builtIn('', 'v1', {
  kind: 'Secret',
  plural: 'secrets',
})
export const CONFIGMAPS: Kind<core.ConfigMap> = builtIn('', 'v1', {
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
})
export const EVENTS: Kind<core.Event> = builtIn('', 'v1', {
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
})
export const NODES: Kind<core.Node> = builtIn('', 'v1', {
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  namespaced: false,
  hasStatus: true,
})
export const SERVICE_ACCOUNTS: Kind<core.ServiceAccount> = builtIn('', 'v1', {
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
})
export const PVCS: Kind<core.PersistentVolumeClaim> = builtIn('', 'v1', {
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  hasStatus: true,
})
export const RESOURCE_QUOTAS: Kind<ResourceQuota> = builtIn('', 'v1', {
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  shortNames: ['quota'],
  hasStatus: true,
})
export const LIMIT_RANGES: Kind<LimitRange> = builtIn('', 'v1', {
  kind: 'LimitRange',
  plural: 'limitranges',
  shortNames: ['limits'],
})
export const LEASES: Kind<core.Lease> = builtIn('coordination.k8s.io', 'v1', {
  kind: 'Lease',
  plural: 'leases',
})
export const PRIORITY_CLASSES: Kind = builtIn('scheduling.k8s.io', 'v1', {
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  columns: [
    column('Value', 'integer', '.value'),
    column('Global-Default', 'boolean', '.globalDefault'),
    AGE,
    column('PreemptionPolicy', 'string', '.preemptionPolicy'),
  ],
})
export const ROLES: Kind<core.Role> = builtIn('rbac.authorization.k8s.io', 'v1', {
  kind: 'Role',
  plural: 'roles',
})
export const CLUSTER_ROLES: Kind<core.ClusterRole> = builtIn('rbac.authorization.k8s.io', 'v1', {
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
})
export const ROLE_BINDINGS: Kind<core.RoleBinding> = builtIn('rbac.authorization.k8s.io', 'v1', {
  kind: 'RoleBinding',
  plural: 'rolebindings',
})
export const CLUSTER_ROLE_BINDINGS: Kind<core.ClusterRoleBinding> = builtIn(
  'rbac.authorization.k8s.io',
  'v1',
  {
    kind: 'ClusterRoleBinding',
    plural: 'clusterrolebindings',
    namespaced: false,
  },
)
export const CONTROLLER_REVISIONS: Kind<core.ControllerRevision> = builtIn('apps', 'v1', {
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
})

export const VMS: Kind<Vm> = custom('kubevirt.io', 'v1', {
  kind: 'VirtualMachine',
  plural: 'virtualmachines',
  shortNames: ['vm', 'vms'],
  categories: ['all'],
  columns: [AGE, column('Status', 'string', '.status.printableStatus'), condition('Ready', 'Ready')],
})
export const VMIS: Kind<Vmi> = custom('kubevirt.io', 'v1', {
  kind: 'VirtualMachineInstance',
  plural: 'virtualmachineinstances',
  shortNames: ['vmi', 'vmis'],
  categories: ['all'],
  hasStatus: false,
  columns: [
    AGE,
    PHASE,
    column('IP', 'string', '.status.interfaces[0].ipAddress'),
    column('NodeName', 'string', '.status.nodeName'),
    condition('Ready', 'Ready'),
    condition('Live-Migratable', 'LiveMigratable', 1),
    condition('Paused', 'Paused', 1),
  ],
})
export const VMIMS: Kind<Vmim> = custom('kubevirt.io', 'v1', {
  kind: 'VirtualMachineInstanceMigration',
  plural: 'virtualmachineinstancemigrations',
  shortNames: ['vmim', 'vmims'],
  categories: ['all'],
  columns: [PHASE, column('VMI', 'string', '.spec.vmiName')],
})
export const KUBEVIRTS: Kind<KubeVirt> = custom('kubevirt.io', 'v1', {
  kind: 'KubeVirt',
  plural: 'kubevirts',
  shortNames: ['kv', 'kvs'],
  categories: ['all'],
  columns: [AGE, PHASE],
})

const INSTANCETYPE = 'instancetype.kubevirt.io'
const SNAPSHOT = 'snapshot.kubevirt.io'
const BACKUP = 'backup.kubevirt.io'

export const INSTANCETYPES: Kind<Instancetype> = custom(INSTANCETYPE, 'v1beta1', {
  kind: 'VirtualMachineInstancetype',
  plural: 'virtualmachineinstancetypes',
  shortNames: ['vminstancetype', 'vminstancetypes', 'vmf', 'vmfs'],
  categories: ['all'],
  hasStatus: false,
})
export const CLUSTER_INSTANCETYPES: Kind<Instancetype> = custom(INSTANCETYPE, 'v1beta1', {
  kind: 'VirtualMachineClusterInstancetype',
  plural: 'virtualmachineclusterinstancetypes',
  shortNames: ['vmclusterinstancetype', 'vmclusterinstancetypes', 'vmcf', 'vmcfs'],
  namespaced: false,
  hasStatus: false,
})
export const PREFERENCES: Kind<Preference> = custom(INSTANCETYPE, 'v1beta1', {
  kind: 'VirtualMachinePreference',
  plural: 'virtualmachinepreferences',
  shortNames: ['vmpref', 'vmprefs', 'vmp', 'vmps'],
  categories: ['all'],
  hasStatus: false,
})
export const CLUSTER_PREFERENCES: Kind<Preference> = custom(INSTANCETYPE, 'v1beta1', {
  kind: 'VirtualMachineClusterPreference',
  plural: 'virtualmachineclusterpreferences',
  shortNames: ['vmcp', 'vmcps'],
  namespaced: false,
  hasStatus: false,
})
export const DATA_VOLUMES: Kind<DataVolume> = custom('cdi.kubevirt.io', 'v1beta1', {
  kind: 'DataVolume',
  plural: 'datavolumes',
  shortNames: ['dv', 'dvs'],
  categories: ['all'],
  columns: [PHASE, column('Progress', 'string', '.status.progress'), AGE],
})
export const DATA_SOURCES: Kind<DataSource> = custom('cdi.kubevirt.io', 'v1beta1', {
  kind: 'DataSource',
  plural: 'datasources',
  shortNames: ['das'],
  categories: ['all'],
})

export const VMIRS: Kind = custom('kubevirt.io', 'v1', {
  kind: 'VirtualMachineInstanceReplicaSet',
  plural: 'virtualmachineinstancereplicasets',
  shortNames: ['vmirs', 'vmirss'],
  categories: ['all'],
  columns: [
    column('Desired', 'integer', '.spec.replicas'),
    column('Current', 'integer', '.status.replicas'),
    column('Ready', 'integer', '.status.readyReplicas'),
    AGE,
  ],
})
export const VMI_PRESETS: Kind = custom('kubevirt.io', 'v1', {
  kind: 'VirtualMachineInstancePreset',
  plural: 'virtualmachineinstancepresets',
  shortNames: ['vmipreset', 'vmipresets'],
  categories: ['all'],
  hasStatus: false,
})
export const VM_SNAPSHOTS: Kind = custom(SNAPSHOT, 'v1beta1', {
  kind: 'VirtualMachineSnapshot',
  plural: 'virtualmachinesnapshots',
  shortNames: ['vmsnapshot', 'vmsnapshots'],
  categories: ['all'],
  columns: [
    column('SourceKind', 'string', '.spec.source.kind'),
    column('SourceName', 'string', '.spec.source.name'),
    PHASE,
    column('ReadyToUse', 'boolean', '.status.readyToUse'),
    column('CreationTime', 'date', '.status.creationTime'),
    column('Error', 'string', '.status.error.message'),
  ],
})
export const VM_SNAPSHOT_CONTENTS: Kind = custom(SNAPSHOT, 'v1beta1', {
  kind: 'VirtualMachineSnapshotContent',
  plural: 'virtualmachinesnapshotcontents',
  shortNames: ['vmsnapshotcontent', 'vmsnapshotcontents'],
  categories: ['all'],
  columns: [
    column('ReadyToUse', 'boolean', '.status.readyToUse'),
    column('CreationTime', 'date', '.status.creationTime'),
    column('Error', 'string', '.status.error.message'),
  ],
})
export const VM_RESTORES: Kind = custom(SNAPSHOT, 'v1beta1', {
  kind: 'VirtualMachineRestore',
  plural: 'virtualmachinerestores',
  shortNames: ['vmrestore', 'vmrestores'],
  categories: ['all'],
  columns: [
    column('TargetKind', 'string', '.spec.target.kind'),
    column('TargetName', 'string', '.spec.target.name'),
    column('Complete', 'boolean', '.status.complete'),
    column('RestoreTime', 'date', '.status.restoreTime'),
  ],
})
export const VM_CLONES: Kind = custom('clone.kubevirt.io', 'v1beta1', {
  kind: 'VirtualMachineClone',
  plural: 'virtualmachineclones',
  shortNames: ['vmclone', 'vmclones'],
  categories: ['all'],
  columns: [
    PHASE,
    column('SourceVirtualMachine', 'string', '.spec.source.name'),
    column('TargetVirtualMachine', 'string', '.spec.target.name'),
  ],
})
export const VM_POOLS: Kind = custom('pool.kubevirt.io', 'v1beta1', {
  kind: 'VirtualMachinePool',
  plural: 'virtualmachinepools',
  shortNames: ['vmpool', 'vmpools'],
  categories: ['all'],
  columns: [
    column('Desired', 'integer', '.spec.replicas'),
    column('Current', 'integer', '.status.replicas'),
    column('Ready', 'integer', '.status.readyReplicas'),
    AGE,
  ],
})
export const VM_EXPORTS: Kind = custom('export.kubevirt.io', 'v1', {
  kind: 'VirtualMachineExport',
  schema: 'v1beta1.VirtualMachineExport',
  plural: 'virtualmachineexports',
  shortNames: ['vmexport', 'vmexports'],
  categories: ['all'],
  columns: [
    column('SourceKind', 'string', '.spec.source.kind'),
    column('SourceName', 'string', '.spec.source.name'),
    PHASE,
  ],
})
export const MIGRATION_POLICIES: Kind<MigrationPolicy> = custom('migrations.kubevirt.io', 'v1alpha1', {
  kind: 'MigrationPolicy',
  plural: 'migrationpolicies',
  namespaced: false,
})
export const VM_BACKUPS: Kind = custom(BACKUP, 'v1alpha1', {
  kind: 'VirtualMachineBackup',
  plural: 'virtualmachinebackups',
  shortNames: ['vmbackup', 'vmbackups'],
  categories: ['all'],
})
export const VM_BACKUP_TRACKERS: Kind = custom(BACKUP, 'v1alpha1', {
  kind: 'VirtualMachineBackupTracker',
  plural: 'virtualmachinebackuptrackers',
  shortNames: ['vmbackuptracker', 'vmbackuptrackers'],
  categories: ['all'],
})
export const NETWORK_ATTACHMENTS: Kind<NetworkAttachment> = custom('k8s.cni.cncf.io', 'v1', {
  kind: 'NetworkAttachmentDefinition',
  plural: 'network-attachment-definitions',
  singular: 'network-attachment-definition',
  shortNames: ['net-attach-def'],
  hasStatus: false,
})

/** Kinds that a cluster may have and that are read there alone: they are not in the table. */
export const CDI_CONFIGS: Kind<CdiConfig> = custom('cdi.kubevirt.io', 'v1beta1', {
  kind: 'CDIConfig',
  plural: 'cdiconfigs',
  namespaced: false,
})
export const PODS: Kind = builtIn('', 'v1', { kind: 'Pod', plural: 'pods', shortNames: ['po'] })
export const VOLUME_SNAPSHOTS: Kind = custom('snapshot.storage.k8s.io', 'v1', {
  kind: 'VolumeSnapshot',
  plural: 'volumesnapshots',
})
export const API_SERVICES: Kind<ApiService> = builtIn('apiregistration.k8s.io', 'v1', {
  kind: 'APIService',
  plural: 'apiservices',
  namespaced: false,
  hasStatus: true,
})
export const MUTATING_WEBHOOKS: Kind<WebhookConfiguration> = builtIn('admissionregistration.k8s.io', 'v1', {
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  namespaced: false,
})
export const VALIDATING_WEBHOOKS: Kind<WebhookConfiguration> = builtIn('admissionregistration.k8s.io', 'v1', {
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  namespaced: false,
})
export const PLUGINS: Kind = custom('plugin.kubevirt.io', 'v1alpha1', { kind: 'Plugin', plural: 'plugins' })

/** Every kind, in the order discovery lists them. */
export const KINDS: readonly Kind[] = [
  NAMESPACES,
  SECRETS,
  CONFIGMAPS,
  EVENTS,
  NODES,
  SERVICE_ACCOUNTS,
  PVCS,
  RESOURCE_QUOTAS,
  LIMIT_RANGES,
  LEASES,
  PRIORITY_CLASSES,
  ROLES,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  CLUSTER_ROLE_BINDINGS,
  CONTROLLER_REVISIONS,
  VMS,
  VMIS,
  VMIMS,
  KUBEVIRTS,
  VMIRS,
  VMI_PRESETS,
  INSTANCETYPES,
  CLUSTER_INSTANCETYPES,
  PREFERENCES,
  CLUSTER_PREFERENCES,
  VM_SNAPSHOTS,
  VM_SNAPSHOT_CONTENTS,
  VM_RESTORES,
  VM_CLONES,
  VM_POOLS,
  VM_EXPORTS,
  MIGRATION_POLICIES,
  VM_BACKUPS,
  VM_BACKUP_TRACKERS,
  DATA_VOLUMES,
  DATA_SOURCES,
  NETWORK_ATTACHMENTS,
]

/** The row of the table for an object's `apiVersion` and `kind`. */
export function findKind(apiVersion: string, kind: string): Kind | undefined {
  return KINDS.find(
    (row) => row.kind === kind && (row.group ? `${row.group}/${row.version}` : row.version) === apiVersion,
  )
}
