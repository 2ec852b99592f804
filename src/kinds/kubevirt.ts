/**
 * The types of `kubevirt.io/v1` as this program uses them: those of the published OpenAPI document, with the
 * corrections the wire asks for. Types only: nothing of the package is loaded at run time.
 */
import type {
  V1VirtualMachineInstanceMigrationSpec,
  V1VirtualMachineInstanceSpec,
  V1VirtualMachineInstanceStatus,
  V1VirtualMachineSpec,
  V1VirtualMachineStatus,
} from '@kubevirt-ui-ext/kubevirt-api/kubevirt'
import type { Condition, KubeObject, NamespacedMeta } from './meta.ts'
import type { MigrationState, VmimStatus } from './migration.ts'

/** Where a VMI stands. Source: contract, VMI phases. */
export type VmiPhase =
  | 'Pending'
  | 'Scheduling'
  | 'Scheduled'
  | 'Running'
  | 'Succeeded'
  | 'Failed'
  | 'WaitingForSync'
  | 'Unknown'

/** What keeps a VM running, or not. */
export type RunStrategy = 'Always' | 'Halted' | 'Manual' | 'RerunOnFailure' | 'Once' | 'WaitAsReceiver'

/** What the API asks the controller to do to a VM once. */
export interface StateChangeRequest {
  action: 'Start' | 'Stop'
  data?: Record<string, string>
  /** UID of the VMI that a Stop is meant for. */
  uid?: string
}

/** Counts starts that never reached Running; drives the back-off. */
export interface StartFailure {
  consecutiveFailCount?: number
  lastFailedVMIUID?: string
  retryAfterTimestamp?: string | null
}

export type VmiSpec = V1VirtualMachineInstanceSpec

/** When a phase was reached. */
export interface PhaseTransition {
  phase: VmiPhase
  phaseTransitionTimestamp: string
}

export interface VmiStatus extends Omit<
  V1VirtualMachineInstanceStatus,
  'conditions' | 'migrationState' | 'phase' | 'phaseTransitionTimestamps' | 'vSOCKCID'
> {
  conditions?: Condition[]
  migrationState?: MigrationState
  phase?: VmiPhase
  phaseTransitionTimestamps?: PhaseTransition[]
  VSOCKCID?: number
}

/** A VirtualMachineInstance: a guest that runs, or is about to. */
export interface Vmi extends KubeObject {
  metadata: NamespacedMeta
  spec: VmiSpec
  status?: VmiStatus
}

/** The part of a VM that becomes its VMI. */
export interface VmiTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }
  spec: VmiSpec
}

export interface VmSpec extends Omit<V1VirtualMachineSpec, 'runStrategy' | 'template'> {
  runStrategy?: RunStrategy
  template: VmiTemplate
}

export interface VmStatus extends Omit<
  V1VirtualMachineStatus,
  'conditions' | 'runStrategy' | 'startFailure' | 'stateChangeRequests'
> {
  conditions?: Condition[]
  runStrategy?: RunStrategy
  startFailure?: StartFailure
  stateChangeRequests?: StateChangeRequest[]
}

/** A VirtualMachine: a guest that is wanted, running or not. */
export interface Vm extends KubeObject {
  metadata: NamespacedMeta
  spec: VmSpec
  status?: VmStatus
}

/** A VirtualMachineInstanceMigration. */
export interface Vmim extends KubeObject {
  metadata: NamespacedMeta
  spec: V1VirtualMachineInstanceMigrationSpec
  status?: VmimStatus
}

/** The KubeVirt configuration object, as far as it is read. */
export interface KubeVirt extends KubeObject {
  metadata: NamespacedMeta
  spec?: {
    configuration?: Record<string, unknown>
    uninstallStrategy?: 'BlockUninstallIfWorkloadsExist' | 'RemoveWorkloads'
  }
  status?: {
    phase?: string
    observedKubeVirtVersion?: string
    observedKubeVirtRegistry?: string
    observedDeploymentConfig?: string
    defaultArchitecture?: string
    conditions?: Condition[]
  }
}

/** Whether a VMI in this phase will never run again. */
export function isFinal(phase: VmiPhase | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

/** Finalizers that the contract names. */
export const VM_FINALIZER = 'kubevirt.io/virtualMachineControllerFinalize'
export const VMI_FINALIZER = 'kubevirt.io/foregroundDeleteVirtualMachine'

/** Label on a VMI that names the node it runs on. */
export const NODE_NAME_LABEL = 'kubevirt.io/nodeName'

/** Seconds a guest gets to shut down where its spec does not say. */
export const DEFAULT_GRACE_SECONDS = 30
