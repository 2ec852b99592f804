/** What the packages' types do not say, or say wrongly. */
import type { Definitions } from '../src/lib/schema/schema.ts'
import { refTo } from '../src/lib/schema/schema.ts'
import { OBJECT_META } from './names.ts'

/** Members of Kubernetes' models that are maps of quantities; the models call them maps of strings. */
export const CORE_QUANTITIES = new Set([
  'V1VolumeResourceRequirements.limits',
  'V1VolumeResourceRequirements.requests',
  'V1PersistentVolumeClaimStatus.allocatedResources',
  'V1PersistentVolumeClaimStatus.capacity',
  'V1LimitRangeItem.default',
  'V1LimitRangeItem.defaultRequest',
  'V1LimitRangeItem.max',
  'V1LimitRangeItem.maxLimitRequestRatio',
  'V1LimitRangeItem.min',
  'V1ResourceQuotaSpec.hard',
  'V1ResourceQuotaStatus.hard',
  'V1ResourceQuotaStatus.used',
  'V1NodeStatus.allocatable',
  'V1NodeStatus.capacity',
])

/**
 * Members of KubeVirt's types whose text has a form, as `kubevirt-types.txt` would write it: their own types call them
 * strings.
 */
export const FORMS: Record<string, string> = {
  'V1CertConfig.duration': 'duration',
  'V1CertConfig.renewBefore': 'duration',
  'V1DiskVerification.memoryLimit': 'qty',
  'V1KubeVirtConfiguration.cpuRequest': 'qty',
  'V1KubeVirtSelfSignConfiguration.caOverlapInterval': 'duration',
  'V1KubeVirtSelfSignConfiguration.caRotateInterval': 'duration',
  'V1KubeVirtSelfSignConfiguration.certRotateInterval': 'duration',
  'V1KubeVirtWorkloadUpdateStrategy.batchEvictionInterval': 'duration',
  'V1LiveUpdateConfiguration.maxGuest': 'qty',
  'V1MigrationConfiguration.bandwidthPerMigration': 'qty',
  'V1ResourceRequirementsWithoutClaims.limits': '{qty}',
  'V1ResourceRequirementsWithoutClaims.requests': '{qty}',
  'V1beta1DataVolumeCondition.lastHeartbeatTime': 'time',
  'V1beta1Error.time': 'time',
  'V1beta1VirtualMachineExportStatus.ttlExpirationTime': 'time',
  'V1beta1VirtualMachineRestoreStatus.restoreTime': 'time',
  'V1beta1VirtualMachineSnapshotContentStatus.creationTime': 'time',
  'V1beta1VirtualMachineSnapshotStatus.creationTime': 'time',
}

/** When a condition was last looked at and last changed: the package's types have lost it. */
export const CONDITION_TIMES = ['lastProbeTime', 'lastTransitionTime']

/** Types that are older in the package than in KubeVirt 1.9: what they do not know is kept. */
export const OPEN = new Set([
  'v1.DeveloperConfiguration',
  'v1.KubeVirtConfiguration',
  'v1.KubeVirtSpec',
  'v1.MigrationConfiguration',
])

/** Members of KubeVirt's types that may have a fraction; all other numbers are whole. */
export const FRACTIONS = new Set(['V1TokenBucketRateLimiter.qps'])

const text = { type: 'string' } as const

/** Kinds that none of the packages has. */
export const HAND_WRITTEN: Definitions = {
  'v1.NetworkAttachmentDefinition': {
    type: 'object',
    description: 'A network that a guest can be attached to by name.',
    properties: {
      apiVersion: text,
      kind: text,
      metadata: refTo(OBJECT_META),
      spec: {
        type: 'object',
        properties: {
          config: { ...text, description: 'A CNI configuration, or a list of them, as JSON text.' },
        },
      },
    },
  },
  'v1alpha1.VirtualMachineBackupTracker': {
    type: 'object',
    description: 'Remembers the last checkpoint of a guest, so that the next backup holds only what changed.',
    properties: {
      apiVersion: text,
      kind: text,
      metadata: refTo(OBJECT_META),
      spec: refTo('v1alpha1.VirtualMachineBackupTrackerSpec'),
      status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
    required: ['spec'],
  },
}
