/** The rows and columns of the decision tables (contract 3.2 to 3.5). */
import type { RunStrategy, Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { vmiOf } from './api.ts'

/** How a VM says what keeps it running. */
export const STRATEGIES = {
  Halted: { runStrategy: 'Halted' },
  'running: false': { running: false },
  'neither field': {},
  Manual: { runStrategy: 'Manual' },
  RerunOnFailure: { runStrategy: 'RerunOnFailure' },
  Always: { runStrategy: 'Always' },
  'running: true': { running: true },
  Once: { runStrategy: 'Once' },
  WaitAsReceiver: { runStrategy: 'WaitAsReceiver' },
} satisfies Record<string, { runStrategy?: RunStrategy; running?: boolean } & Partial<Vm['spec']>>
export type StrategyName = keyof typeof STRATEGIES

/** The VMI of each class, the active ones one by one. */
export const VMIS_BY_CLASS = {
  none: undefined,
  'no phase': vmiOf(''),
  Unknown: vmiOf('Unknown'),
  Pending: vmiOf('Pending'),
  Scheduling: vmiOf('Scheduling'),
  Scheduled: vmiOf('Scheduled'),
  Running: vmiOf('Running'),
  WaitingForSync: vmiOf('WaitingForSync'),
  Succeeded: vmiOf('Succeeded'),
  Failed: vmiOf('Failed'),
} satisfies Record<string, Vmi | undefined>
export type ClassName = keyof typeof VMIS_BY_CLASS

export const UNKNOWN: ClassName[] = ['no phase', 'Unknown']
export const ACTIVE: ClassName[] = ['Pending', 'Scheduling', 'Scheduled', 'Running', 'WaitingForSync']
export const OVER: ClassName[] = ['Succeeded', 'Failed']
export const ALL: ClassName[] = ['none', ...UNKNOWN, ...ACTIVE, ...OVER]
