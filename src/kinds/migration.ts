/** What live migration is told, and tells: parts of VMIs and of VirtualMachineInstanceMigrations, and its policies. */
import type {
  V1MigrationConfiguration,
  V1VirtualMachineInstanceMigrationState,
} from '@kubevirt-ui-ext/kubevirt-api/kubevirt'
import type { Condition, KubeObject } from './meta.ts'

/** How guests are moved: `spec.configuration.migrations` of the KubeVirt object. Source: contract worker-qemu 5.4. */
export interface MigrationConfiguration extends V1MigrationConfiguration {
  maxDowntimeMs?: number
}

/** `VMI.status.migrationState`. Source: contract 7.7. */
export interface MigrationState extends Omit<
  V1VirtualMachineInstanceMigrationState,
  'migrationConfiguration' | 'mode' | 'abortStatus'
> {
  migrationConfiguration?: MigrationConfiguration
  mode?: 'PreCopy' | 'PostCopy' | 'Paused'
  abortStatus?: 'Aborting' | 'Succeeded' | 'Failed'
}

/** Where a migration stands, in the order in which it gets there. Source: contract 7.6. */
export const MIGRATION_PHASES = [
  'Pending',
  'Scheduling',
  'Scheduled',
  'PreparingTarget',
  'TargetReady',
  'Running',
  'Succeeded',
  'Failed',
] as const

export type MigrationPhase = (typeof MIGRATION_PHASES)[number]

/** `status` of a VirtualMachineInstanceMigration. */
export interface VmimStatus {
  phase?: MigrationPhase | ''
  phaseTransitionTimestamps?: { phase: MigrationPhase; phaseTransitionTimestamp: string }[]
  conditions?: Condition[]
  /** The VMI's, once the migration is over. */
  migrationState?: MigrationState
  synchronizationAddresses?: string[]
}

/** A MigrationPolicy: settings for the guests whose labels, and whose namespace's labels, it names. */
export interface MigrationPolicy extends KubeObject {
  spec: {
    selectors?: {
      namespaceSelector?: Record<string, string>
      virtualMachineInstanceSelector?: Record<string, string>
    }
    allowAutoConverge?: boolean
    allowPostCopy?: boolean
    allowWorkloadDisruption?: boolean
    bandwidthPerMigration?: string
    completionTimeoutPerGiB?: number
    maxDowntimeMs?: number
    experimental?: { stallDetector?: Record<string, string | number> }
  }
}

/** Whether a migration in this phase is over. */
export function isMigrationOver(phase: MigrationPhase | '' | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

/** The finalizer of a migration: the API keeps it until nothing of it is left on a node. */
export const MIGRATION_FINALIZER = 'kubevirt.io/migrationJobFinalize'

/** Label on a migration: the VMI it is for. */
export const VMI_NAME_LABEL = 'kubevirt.io/vmi-name'

/** Label on a VMI that is being moved: the node it goes to. */
export const TARGET_NODE_LABEL = 'kubevirt.io/migrationTargetNodeName'

/** Annotation on a migration that empties a node: the name of that node. */
export const EVACUATION_ANNOTATION = 'kubevirt.io/evacuationMigration'

/** The taint by which a node is emptied of guests, where the KubeVirt object names no other. */
export const DRAIN_TAINT_KEY = 'kubevirt.io/drain'
