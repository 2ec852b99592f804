import { expect, test } from 'vitest'
import { printableStatusOf } from '../../../src/controllers/vm/printable-status.ts'
import type { PrintableFacts } from '../../../src/controllers/vm/printable-status.ts'
import type { Vmi, VmiStatus } from '../../../src/kinds/kubevirt.ts'

const NOTHING: PrintableFacts = {
  isDeleting: false,
  strategy: 'Always',
  vmi: undefined,
  createdNow: false,
  deletedNow: false,
  dataVolumes: 'ready',
  waitsForBinding: false,
  startFailures: 0,
}

function vmi(status: VmiStatus, deletionTimestamp?: string): Vmi {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      namespace: 'default',
      name: 'web',
      uid: 'u1',
      resourceVersion: '1',
      creationTimestamp: '',
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
    spec: { domain: { devices: {} } },
    status,
  }
}

function unsynchronized(reason: string): Vmi {
  return vmi({ phase: 'Scheduling', conditions: [{ type: 'Synchronized', status: 'False', reason }] })
}

const unschedulable = vmi({
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }],
})
const running = vmi({ phase: 'Running' })
const paused = vmi({ phase: 'Running', conditions: [{ type: 'Paused', status: 'True' }] })
const leaving = vmi({ phase: 'Running', migrationState: { startTimestamp: 't' } })
const arrived = vmi({ phase: 'Running', migrationState: { startTimestamp: 't', endTimestamp: 't' } })
const ended = vmi({ phase: 'Succeeded' })

test.each<[string, Partial<PrintableFacts>, string]>([
  ['1: a VM that is being deleted', { isDeleting: true, vmi: running }, 'Terminating'],
  ['2: a VMI that is being deleted', { vmi: vmi({ phase: 'Running' }, 'now') }, 'Stopping'],
  ['2: a VMI that was just deleted', { vmi: paused, deletedNow: true }, 'Stopping'],
  ['2 not: a final VMI that is being deleted', { vmi: vmi({ phase: 'Failed' }, 'now') }, 'Stopped'],
  ['3: a migration that has begun', { vmi: leaving }, 'Migrating'],
  ['3 not: a migration that is over', { vmi: arrived }, 'Running'],
  ['4: a paused guest', { vmi: paused }, 'Paused'],
  ['5: a running guest, whatever its volumes do', { vmi: running, dataVolumes: 'failed' }, 'Running'],
  [
    '6: a claim that is missing',
    { vmi: unsynchronized('FailedPvcNotFound'), dataVolumes: 'failed' },
    'ErrorPvcNotFound',
  ],
  ['7: a DataVolume that failed', { vmi: unschedulable, dataVolumes: 'failed' }, 'DataVolumeError'],
  ['8: a guest no node takes', { vmi: unschedulable, dataVolumes: 'filling' }, 'ErrorUnschedulable'],
  ['9: a DataVolume that is being filled', { dataVolumes: 'filling', waitsForBinding: true }, 'Provisioning'],
  ['10: a claim that is unbound', { waitsForBinding: true }, 'WaitingForVolumeBinding'],
  ['11: an image that cannot be pulled', { vmi: unsynchronized('ErrImagePull') }, 'ErrImagePull'],
  ['12: an image that is tried again', { vmi: unsynchronized('ImagePullBackOff') }, 'ImagePullBackOff'],
  ['13: a VMI without phase', { vmi: vmi({}) }, 'Starting'],
  ['13: a pending VMI', { vmi: vmi({ phase: 'Pending' }) }, 'Starting'],
  ['13: a VMI being placed', { vmi: vmi({ phase: 'Scheduling' }) }, 'Starting'],
  ['13: a VMI being prepared', { vmi: vmi({ phase: 'Scheduled' }), startFailures: 1 }, 'Starting'],
  ['13: a VMI that was just created', { createdNow: true, startFailures: 2 }, 'Starting'],
  ['14: starts that failed', { startFailures: 1 }, 'CrashLoopBackOff'],
  [
    '14: starts that failed, final VMI',
    { startFailures: 1, vmi: ended, strategy: 'Once' },
    'CrashLoopBackOff',
  ],
  [
    '14: starts that failed, RerunOnFailure',
    { startFailures: 1, strategy: 'RerunOnFailure' },
    'CrashLoopBackOff',
  ],
  ['14 not: another strategy', { startFailures: 1, strategy: 'Manual' }, 'Stopped'],
  ['15: a final VMI', { vmi: ended }, 'Stopped'],
  ['15: no VMI', {}, 'Stopped'],
  ['15: no VMI, though it waits for a receiver', { strategy: 'WaitAsReceiver' }, 'Stopped'],
  [
    '16: a receiver',
    { strategy: 'WaitAsReceiver', vmi: vmi({ phase: 'WaitingForSync' }) },
    'WaitingForReceiver',
  ],
  ['17: anything else', { vmi: vmi({ phase: 'Unknown' }) }, 'Unknown'],
])('row %s', (_row, facts, expected) => {
  expect(printableStatusOf({ ...NOTHING, ...facts })).toBe(expected)
})
