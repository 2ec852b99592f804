/** Contract: admission-vmi.md, 11. */
import { describe, test, expect } from 'vitest'
import { kubeVirtUser } from '../../../src/admission/accounts.ts'
import {
  complaintsOf,
  NEW_VMI,
  testRules,
  type Edits,
  type RuleCase,
  type Subject,
} from '../../helpers/rule-cases.ts'

const VMI: Subject = { ...NEW_VMI, path: '/virtualmachineinstances-validate-update' }
const SOMEBODY = { '@old': {} }
const CONTROLLER = { '@user': { username: kubeVirtUser('controller').name } }
const NODE = 'authentication.kubernetes.io/node-name'
const CPU = 'spec.domain.cpu'
const K = 'spec.domain.devices.disks'
const V = 'spec.volumes'
const U = 'spec.utilityVolumes'

/** A change by KubeVirt itself: the guest before, and what is different after. */
function change(before: Edits, after: Edits): Edits {
  const { '@on': on, '@off': off, ...rest } = after
  return {
    ...CONTROLLER,
    '@old': { [CPU]: { cores: 1 }, 'status.volumeStatus': [{ name: 'd', target: 'vda' }], ...before },
    [CPU]: { cores: 1 },
    'status.volumeStatus': [{ name: 'd', target: 'vda' }],
    ...before,
    ...rest,
    ...(on !== undefined && { '@on': on }),
    ...(off !== undefined && { '@off': off }),
  }
}

const handler = (extra: Record<string, string[]>): Edits => ({
  '@user': { username: kubeVirtUser('handler').name, extra },
})

describe('who changes a guest', () => {
  const placed = { 'status.nodeName': 'n1' }
  const by = (node: string, old: Edits = placed, now: Edits = {}): Edits => ({
    ...handler({ [NODE]: [node] }),
    '@old': old,
    ...old,
    ...now,
  })
  testRules(VMI, [
    ['VMIU-001', { ...handler({}), '@old': placed, ...placed }, 'Invalid', by('n1')],
    ['VMIU-002', by('n2'), 'Invalid', by('n2', { ...placed, 'status.migrationState': { targetNode: 'n2' } })],
    [
      'VMIU-003',
      by('n1', placed, { 'status.migrationState': { targetNode: 'n3' } }),
      'Invalid',
      by('n1', placed, { 'status.migrationState': { sourceNode: 'n1' } }),
    ],
    [
      'VMIU-004',
      { ...SOMEBODY, 'spec.domain.memory.guest': '2Gi' },
      'NotSupported',
      { ...SOMEBODY, 'metadata.labels': { a: 'b' } },
    ],
    [
      'VMIU-020',
      { ...SOMEBODY, 'metadata.labels': { 'kubevirt.io/nodeName': 'n2' } },
      'NotSupported',
      {
        '@old': { 'metadata.labels': { 'kubevirt.io/nodeName': 'n2' } },
        'metadata.labels': { 'kubevirt.io/nodeName': 'n2' },
      },
    ],
  ])

  test('without the gate NodeRestriction, a handler may change any guest', async () => {
    const edits = { ...handler({}), '@old': placed, ...placed, '@off': ['NodeRestriction'] }
    expect(await complaintsOf(VMI, edits)).toEqual([])
  })
})

const plugged = (name: string, source: object = { dataVolume: { name } }) => ({ name, ...source })
const disk = (name: string, target: object = { disk: { bus: 'scsi' } }) => ({ name, ...target })
/** A second volume with its disk, added to a running guest. */
const add = (volume: object, itsDisk?: object): Edits => ({
  [`${V}[1]`]: volume,
  ...(itsDisk && { [`${K}[1]`]: itsDisk }),
})

describe('what a running guest can take', () => {
  const on = { '@on': ['UtilityVolumes'] }
  const utility = (...list: object[]): Edits => ({ ...on, [U]: list })
  const one = { name: 'u', claimName: 'c' }
  const cases: RuleCase[] = [
    [
      'VMIU-005',
      change({ [CPU]: { cores: 1, maxSockets: 2 } }, { [CPU]: { cores: 1, maxSockets: 4 } }),
      'Invalid',
      change({ [CPU]: { cores: 1, maxSockets: 2 } }, { [CPU]: { cores: 1, sockets: 2, maxSockets: 2 } }),
    ],
    [
      'VMIU-006',
      change({ 'spec.domain.memory.maxGuest': '2Gi' }, { 'spec.domain.memory.maxGuest': '4Gi' }),
      'Invalid',
      change({ 'spec.domain.memory.maxGuest': '2Gi' }, { 'spec.domain.memory.maxGuest': '2048Mi' }),
    ],
    ['VMIU-007', change({}, { [U]: [one] }), `Invalid ${U}`, change({}, utility(one))],
    [
      'VMIU-008',
      change({}, utility({ ...one, name: '' })),
      `Required ${U}[0].name`,
      change({}, utility(one)),
    ],
    [
      'VMIU-009',
      change({}, utility(one, one)),
      `Duplicate ${U}[1].name`,
      change({}, utility(one, { ...one, name: 'w' })),
    ],
    [
      'VMIU-010',
      change({}, utility({ ...one, name: 'd' })),
      `Duplicate ${U}[0].name`,
      change({}, utility(one)),
    ],
    [
      'VMIU-011',
      change({}, utility({ ...one, claimName: '' })),
      `Required ${U}[0].claimName`,
      change({}, utility(one)),
    ],
    [
      'VMIU-012',
      change({ 'status.volumeStatus[1]': { name: 'u', target: '' } }, utility(one)),
      'Invalid',
      change({ 'status.volumeStatus[1]': { name: 'u', target: '', hotplugVolume: {} } }, utility(one)),
    ],
    [
      'VMIU-013',
      change({ [U]: [one] }, utility({ ...one, claimName: 'x' })),
      'Invalid',
      change({ [U]: [one] }, utility(one, { ...one, name: 'w' })),
    ],
    [
      'VMIU-014',
      change({}, { [`${K}[1]`]: disk('e') }),
      'Invalid',
      change({}, { [`${K}[1]`]: disk('e', { cdrom: { bus: 'sata' } }) }),
    ],
    [
      'VMIU-015',
      change({}, { [V]: [], [K]: [] }),
      'Invalid',
      change(add(plugged('p'), disk('p')), {
        [V]: [{ name: 'd', containerDisk: { image: 'disk' } }],
        [K]: [disk('d', { disk: { bus: 'virtio' } })],
      }),
    ],
    [
      'VMIU-016',
      change({}, { [`${V}[0]`]: { name: 'd', containerDisk: { image: 'other' } } }),
      'Invalid',
      change(
        {},
        {
          [`${V}[0]`]: { name: 'd', containerDisk: { image: 'other' } },
          'status.migratedVolumes': [{ volumeName: 'd' }],
        },
      ),
    ],
    [
      'VMIU-017',
      change(add(plugged('p'), disk('p')), add(plugged('p', { dataVolume: { name: 'q' } }), disk('p'))),
      'Invalid',
      change(add(plugged('p'), disk('p')), {
        ...add(plugged('p', { dataVolume: { name: 'q' } }), disk('p')),
        'status.migratedVolumes': [{ volumeName: 'p' }],
      }),
    ],
    [
      'VMIU-018',
      change({}, add({ name: 'p', emptyDisk: { capacity: '1Gi' } }, disk('p'))),
      'Invalid',
      change({}, add(plugged('p'), disk('p'))),
    ],
    [
      'VMIU-019',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'sata' } }))),
      'Invalid',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'virtio' } }))),
    ],
    [
      'HPD-001',
      change({}, { ...add(plugged('p')), 'spec.domain.devices.filesystems': [{ name: 'x', virtiofs: {} }] }),
      'Invalid',
      change({}, add(plugged('p'), disk('p'))),
    ],
    [
      'HPD-002',
      change({}, add(plugged('p'), disk('p', { disk: {} }))),
      'Invalid',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'scsi' } }))),
    ],
    [
      'HPD-003',
      change({}, add(plugged('p'), disk('p', { lun: { bus: 'virtio' } }))),
      'Invalid',
      change({}, add(plugged('p'), disk('p', { lun: { bus: 'scsi' } }))),
    ],
    [
      'HPD-004',
      change({}, add(plugged('p'), disk('p', { cdrom: { bus: 'scsi' } }))),
      'Invalid',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'scsi' } }))),
    ],
    [
      'HPD-005',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'scsi' }, dedicatedIOThread: true }))),
      'Invalid',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'virtio' }, dedicatedIOThread: true }))),
    ],
    [
      'HPD-006',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'scsi' }, bootOrder: 0 }))),
      'Invalid spec.domain.devices.disks[1].bootOrder',
      change({}, add(plugged('p'), disk('p', { disk: { bus: 'scsi' }, bootOrder: 2 }))),
    ],
  ]
  testRules(VMI, cases)
})
