/** Contract: admission-vm.md, 6, 7 and 9. */
import { describe, expect, test } from 'vitest'
import {
  complaintsOf,
  GUEST,
  NEW_VM,
  NOW_MS,
  stored,
  testRules,
  type Edits,
  type Subject,
} from '../../helpers/rule-cases.ts'

const T = 'spec.template.spec'
const V = `${T}.volumes`
const other = { name: 'd', containerDisk: { image: 'other' } }
const VM_STATUS: Subject = { ...NEW_VM, path: '/status-validate' }

describe('while something is done to a VM', () => {
  const template = (namespace: string) => ({
    'spec.dataVolumeTemplates': [
      { metadata: { name: 'dv', namespace }, spec: { storage: {}, source: { blank: {} } } },
    ],
    [`${V}[0]`]: { name: 'd', dataVolume: { name: 'dv' } },
  })
  const busy = (what: 'snapshotInProgress' | 'restoreInProgress', edits: Edits): Edits => ({
    '@old': {},
    [`status.${what}`]: 'it',
    ...edits,
  })
  testRules(NEW_VM, [
    ['VM-ST-001', { '@operation': 'UPDATE', '@old': null }, 'UnexpectedServerResponse', { '@old': {} }],
    [
      'VM-ST-002',
      template('elsewhere'),
      'Invalid spec.dataVolumeTemplates[0]',
      { '@old': template('elsewhere'), ...template('elsewhere') },
    ],
    [
      'VM-ST-003 and VM-ST-006: without the VM as it was, VM-ST-001 has refused it already',
      {
        '@operation': 'UPDATE',
        '@old': null,
        'status.snapshotInProgress': 'it',
        'status.restoreInProgress': 'it',
      },
      'UnexpectedServerResponse',
      busy('snapshotInProgress', {}),
    ],
    [
      'VM-ST-004',
      busy('snapshotInProgress', { [`${V}[0]`]: other }),
      'NotSupported spec',
      busy('snapshotInProgress', { [`${T}.domain.cpu`]: { cores: 2 } }),
    ],
    [
      'VM-ST-005',
      busy('snapshotInProgress', { 'spec.runStrategy': 'Always' }),
      'NotSupported spec',
      { '@old': {}, 'spec.runStrategy': 'Always' },
    ],
    [
      'VM-ST-007',
      busy('restoreInProgress', { 'spec.runStrategy': 'Always' }),
      'NotSupported spec',
      busy('restoreInProgress', { [`${V}[0]`]: other }),
    ],
  ])
})

const disk = (members: object = {}) => ({ name: 'p', disk: { bus: 'scsi' }, ...members })
const source = { dataVolume: { name: 'dv' } }
const add = (members: object = {}) => ({
  addVolumeOptions: { name: 'p', disk: disk(), volumeSource: source, ...members },
})
const remove = (name: string) => ({ removeVolumeOptions: { name } })
const requests = (...list: object[]): Edits => ({ 'status.volumeRequests': list })
const F = 'Invalid Status.volumeRequests'
/** A VM whose guest runs, and its guest. */
const live = (vmi: object = {}): Edits => ({
  'status.ready': true,
  '@objects': [stored('VirtualMachineInstance', 'a', { spec: GUEST, ...vmi })],
})
const moving = (endTimestamp?: string) => ({
  status: {
    migrationState: {
      startTimestamp: new Date(NOW_MS - 1000).toISOString(),
      ...(endTimestamp && { endTimestamp }),
    },
  },
})

describe('requests for volumes', () => {
  const plugged = { ...GUEST, volumes: [...GUEST.volumes, { name: 'p', dataVolume: { name: 'x' } }] }
  const unsound = { ...GUEST, hostname: 'A' }
  testRules(NEW_VM, [
    ['VM-VR-001', requests({ ...add(), ...remove('d') }), F, requests(add())],
    [
      'VM-VR-002',
      requests(add(), add()),
      F,
      requests(add(), add({ name: 'q', disk: { ...disk(), name: 'q' } })),
    ],
    ['VM-VR-003', requests(add({ disk: disk({ disk: { bus: 'sata' } }) })), F, requests(add())],
    [
      'VM-VR-004',
      requests(add({ name: 'd' })),
      F,
      {
        ...requests(add({ name: 'd' })),
        [`${V}[0]`]: { name: 'd', ...source },
      },
    ],
    ['VM-VR-005', { ...live({ spec: plugged }), ...requests(add()) }, F, { ...live(), ...requests(add()) }],
    ['VM-VR-006', requests(add(), remove('p'), remove('p')), F, requests(add(), remove('p'))],
    ['VM-VR-007', requests({}), F, requests(remove('none'))],
    [
      'VM-VR-008',
      {
        ...requests(add({ disk: disk({ serial: 'a b' }) })),
      },
      `Invalid ${T}.domain.devices.disks[1].serial`,
      requests(add({ disk: disk({ serial: 'ab' }) })),
    ],
    [
      'VM-VR-009',
      { ...live({ spec: unsound }), ...requests(add()) },
      `Invalid ${T}.hostname`,
      { ...live(), ...requests(add()) },
    ],
    [
      'VM-VR-010',
      { ...live(moving()), ...requests(add()) },
      'NotSupported spec',
      { ...live(moving(new Date(NOW_MS).toISOString())), ...requests(add()) },
    ],
  ])
})

describe('the status', () => {
  const update = (edits: Edits): Edits => ({ '@old': {}, ...edits })
  testRules(VM_STATUS, [
    ['VM-STAT-001', { '@old': {}, '@request': { object: 'text' } }, '400', update({})],
    ['VM-STAT-002', update({ apiVersion: 'a/b/c' }), '', update({})],
    [
      'VM-STAT-003',
      update({ status: { ready: 'yes' } }),
      '',
      update({ status: { ready: true }, 'spec.colour': 'red' }),
    ],
    ['VM-STAT-005', { '@operation': 'UPDATE', '@old': null }, '400', update({})],
    ['VM-STAT-006', update(requests({})), F, update(requests(add()))],
    [
      'VM-STAT-007',
      update({ 'status.restoreInProgress': 'it', 'spec.runStrategy': 'Always' }),
      'NotSupported spec',
      update({ 'status.restoreInProgress': 'it' }),
    ],
  ])

  test('VM-STAT-004: of other resources it is the shape alone that counts', async () => {
    const resource = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstancemigrations' }
    const edits = { '@request': { resource }, kind: 'VirtualMachineInstanceMigration' }
    expect(await complaintsOf(VM_STATUS, { ...edits, status: { phase: 'Running' } })).toEqual([])
    expect(await complaintsOf(VM_STATUS, { ...edits, status: { phase: 1 } })).toEqual([''])
  })

  test('VM-STAT-008: anything else is admitted', async () => {
    expect(await complaintsOf(VM_STATUS, update({ status: { printableStatus: 'Running' } }))).toEqual([])
  })
})
