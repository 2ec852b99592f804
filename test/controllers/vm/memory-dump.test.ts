import { expect, test } from 'vitest'
import { type DumpRequest, planDump } from '../../../src/controllers/vm/memory-dump.ts'
import type { Vmi, VmiPhase } from '../../../src/kinds/kubevirt.ts'
import { memoryDumpVolume } from '../../../src/kinds/volumes.ts'
import { vmiOf } from '../../helpers/api.ts'

const NOW = '2026-01-02T03:04:05Z'
const request = (phase: string, more: Partial<DumpRequest> = {}): DumpRequest => ({
  claimName: 'c',
  phase,
  ...more,
})
const INFO = { claimName: 'c', targetFileName: 'f', startTimestamp: 's', endTimestamp: 'e' }

/** A VMI whose dump is in that phase; '' has the volume and no entry yet. */
function guest(dump?: string, phase: VmiPhase = 'Running', message?: string): Vmi {
  const entry = { name: 'c', target: '', phase: dump, memoryDumpVolume: INFO, ...(message && { message }) }
  return vmiOf(phase, {
    spec: { volumes: dump === undefined ? [] : [memoryDumpVolume('c')] },
    status: { volumeStatus: dump ? [entry] : [] },
  })
}

const failed = { phase: 'Failed', message: expect.stringContaining('start the VM'), endTimestamp: NOW }

test.each<[string, DumpRequest, Vmi | undefined, object]>([
  [
    'associating, the guest runs',
    request('Associating'),
    guest(),
    { next: request('InProgress'), template: 'with', guest: 'with' },
  ],
  ['associating, no guest', request('Associating'), undefined, { next: failed, guest: 'without' }],
  ['associating, the guest has ended', request('Associating'), guest(undefined, 'Failed'), { next: failed }],
  [
    'associating, the dump before is still there',
    request('Associating'),
    guest('MemoryDumpCompleted'),
    { next: request('Associating'), template: 'with', guest: 'without' },
  ],
  [
    'in progress',
    request('InProgress'),
    guest('MemoryDumpInProgress'),
    { next: request('InProgress'), guest: 'with' },
  ],
  [
    'in progress, the guest was started anew',
    request('InProgress'),
    guest(),
    { next: request('InProgress'), guest: 'with' },
  ],
  ['in progress, the guest is gone', request('InProgress'), undefined, { next: failed }],
  [
    'in progress, written',
    request('InProgress'),
    guest('MemoryDumpCompleted'),
    {
      next: request('Unmounting', { startTimestamp: 's', endTimestamp: 'e', fileName: 'f' }),
      template: 'as it is',
      guest: 'without',
      annotation: 'f',
    },
  ],
  [
    'in progress, failed',
    request('InProgress'),
    guest('MemoryDumpFailed', 'Running', 'no room'),
    {
      next: request('Failed', { message: 'no room', endTimestamp: 'e' }),
      template: 'as it is',
      guest: 'without',
      annotation: 'Memory dump failed',
    },
  ],
  [
    'unmounting, the entry is there',
    request('Unmounting'),
    guest('MemoryDumpCompleted'),
    { next: request('Unmounting'), guest: 'without' },
  ],
  ['unmounting, the entry is gone', request('Unmounting'), guest(), { next: request('Completed') }],
  ['unmounting, the guest is gone', request('Unmounting'), undefined, { next: request('Completed') }],
  [
    'completed',
    request('Completed'),
    guest(),
    { next: request('Completed'), template: 'as it is', guest: 'as it is' },
  ],
  [
    'failed',
    request('Failed'),
    guest('MemoryDumpFailed'),
    { next: request('Failed'), template: 'as it is', guest: 'without' },
  ],
  [
    'dissociating, the guest still has it',
    request('Dissociating', { remove: true }),
    guest('MemoryDumpCompleted'),
    { next: request('Dissociating', { remove: true }), template: 'without', guest: 'without' },
  ],
  ['dissociating, all is gone', request('Dissociating', { remove: true }), guest(), { next: undefined }],
  ['dissociating, no guest', request('Dissociating', { remove: true }), undefined, { next: undefined }],
  [
    'to be removed while in progress',
    request('InProgress', { remove: true }),
    guest(''),
    { next: request('Dissociating', { remove: true }), template: 'without', guest: 'without' },
  ],
])('%s', (_state, before, vmi, expected) => {
  expect(planDump(before, vmi, NOW)).toMatchObject(expected)
})
