import { isFinal } from '../../kinds/kubevirt.ts'
import type { RunStrategy, Vmi } from '../../kinds/kubevirt.ts'
import { findCondition, isTrue } from '../../kinds/meta.ts'

/** What `kubectl get vm` shows under STATUS. */
export type PrintableStatus =
  | 'Terminating'
  | 'Stopping'
  | 'Migrating'
  | 'Paused'
  | 'Running'
  | 'ErrorPvcNotFound'
  | 'DataVolumeError'
  | 'ErrorUnschedulable'
  | 'Provisioning'
  | 'WaitingForVolumeBinding'
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'Starting'
  | 'CrashLoopBackOff'
  | 'Stopped'
  | 'WaitingForReceiver'
  | 'Unknown'

/** What a VM's printable status is read from. */
export interface PrintableFacts {
  isDeleting: boolean
  strategy: RunStrategy | undefined
  vmi: Vmi | undefined
  /** This pass has created the VMI. */
  createdNow: boolean
  /** This pass has deleted the VMI. */
  deletedNow: boolean
  /** State of the DataVolumes that the VM's templates made. */
  dataVolumes: 'ready' | 'filling' | 'failed'
  /** The VM is set to start and a claim of its template is unbound. */
  waitsForBinding: boolean
  /** `startFailure.consecutiveFailCount`. */
  startFailures: number
}

/** The printable status: the first row that matches. Source: contract 7.2. */
export function printableStatusOf(facts: PrintableFacts): PrintableStatus {
  return ROWS.find(([, matches]) => matches(facts))?.[0] ?? 'Unknown'
}

type RowTest = (facts: PrintableFacts) => boolean

const BACKED_OFF: readonly (RunStrategy | undefined)[] = ['Always', 'RerunOnFailure', 'Once']
const STARTING: readonly unknown[] = [undefined, '', 'Pending', 'Scheduling', 'Scheduled']

const ROWS: readonly [PrintableStatus, RowTest][] = [
  ['Terminating', ({ isDeleting }) => isDeleting],
  ['Stopping', isStopping],
  ['Migrating', isMigrating],
  ['Paused', ({ vmi }) => vmi?.status?.phase === 'Running' && isTrue(vmi.status.conditions, 'Paused')],
  ['Running', ({ vmi }) => vmi?.status?.phase === 'Running'],
  ['ErrorPvcNotFound', ({ vmi }) => isFalse(vmi, 'Synchronized', 'FailedPvcNotFound')],
  ['DataVolumeError', ({ dataVolumes }) => dataVolumes === 'failed'],
  ['ErrorUnschedulable', ({ vmi }) => isFalse(vmi, 'PodScheduled', 'Unschedulable')],
  ['Provisioning', ({ dataVolumes }) => dataVolumes === 'filling'],
  ['WaitingForVolumeBinding', ({ waitsForBinding }) => waitsForBinding],
  ['ErrImagePull', ({ vmi }) => isFalse(vmi, 'Synchronized', 'ErrImagePull')],
  ['ImagePullBackOff', ({ vmi }) => isFalse(vmi, 'Synchronized', 'ImagePullBackOff')],
  ['Starting', ({ vmi, createdNow }) => (vmi ? STARTING.includes(vmi.status?.phase) : createdNow)],
  ['CrashLoopBackOff', isCrashLooping],
  ['Stopped', ({ vmi }) => !vmi || isFinal(vmi.status?.phase)],
  ['WaitingForReceiver', isWaitingForReceiver],
]

function isStopping({ vmi, deletedNow }: PrintableFacts): boolean {
  if (!vmi || isFinal(vmi.status?.phase)) return false
  return deletedNow || vmi.metadata.deletionTimestamp !== undefined
}

function isMigrating({ vmi }: PrintableFacts): boolean {
  const state = vmi?.status?.migrationState
  return Boolean(state?.startTimestamp) && !state?.endTimestamp
}

function isCrashLooping({ vmi, strategy, startFailures }: PrintableFacts): boolean {
  return (!vmi || isFinal(vmi.status?.phase)) && startFailures > 0 && BACKED_OFF.includes(strategy)
}

function isWaitingForReceiver({ vmi, strategy }: PrintableFacts): boolean {
  return strategy === 'WaitAsReceiver' && (!vmi || vmi.status?.phase === 'WaitingForSync')
}

function isFalse(vmi: Vmi | undefined, type: string, reason: string): boolean {
  const condition = findCondition(vmi?.status?.conditions, type)
  return condition?.status === 'False' && condition.reason === reason
}
