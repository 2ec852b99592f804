/** Contract: admission-others.md, 7 to 12. */
import { describe, expect, test } from 'vitest'
import { complaintsOf, GUEST, stored, testRules, type Edits, type Subject } from '../../helpers/rule-cases.ts'

const metadata = { name: 'a', namespace: 'default' }
const VM = { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'vm' }

function subject(kind: string, group: string, spec: object): Subject {
  const resource = `${kind.toLowerCase()}s`
  const apiVersion = `${group}/v1beta1`
  return {
    group,
    version: 'v1beta1',
    resource,
    path: `/${resource}-validate`,
    object: { apiVersion, kind, metadata, spec },
  }
}

const elsewhere: Edits = { '@request': { resource: { group: 'x', version: 'v1', resource: 'y' } } }
const broken: Edits = { 'metadata.labels': { a: 1 } }
const lost: Edits = { '@operation': 'UPDATE', '@old': null }

describe('snapshots', () => {
  const off = { '@off': ['Snapshot'] }
  testRules(subject('VirtualMachineSnapshot', 'snapshot.kubevirt.io', { source: VM }), [
    ['SNAP-001', elsewhere, '400'],
    ['SNAP-002', off, '400', { ...off, '@old': {} }],
    ['SNAP-003', broken, '400'],
    ['SNAP-004', { 'spec.source.apiGroup': undefined }, 'NotFound spec.source.apiGroup'],
    ['SNAP-005', { 'spec.source.apiGroup': 'apps' }, 'Invalid spec.source.apiGroup'],
    ['SNAP-006', { 'spec.source.kind': 'Pod' }, 'Invalid spec.source.kind'],
    ['SNAP-007', lost, '400', { '@old': {} }],
    ['SNAP-008', { '@old': { 'spec.source.name': 'other' } }, 'Invalid spec', { '@old': {} }],
    ['SNAP-009', { '@operation': 'CONNECT' }, '400'],
  ])
})

describe('restores', () => {
  const RESTORE = subject('VirtualMachineRestore', 'snapshot.kubevirt.io', {
    target: VM,
    virtualMachineSnapshotName: 's',
  })
  const snapshot = stored('VirtualMachineSnapshot', 's', {
    status: { sourceUID: 'uid-of-vm', virtualMachineSnapshotContentName: 'c' },
  })
  const target = stored('VirtualMachine', 'vm')
  const content = (domain: object = {}) =>
    stored('VirtualMachineSnapshotContent', 'c', {
      spec: { source: { virtualMachine: { spec: { template: { spec: { ...GUEST, domain } } } } } },
    })
  const here: Edits = { '@objects': [snapshot, target] }
  const patch = (text: string): Edits => ({ ...here, 'spec.patches': [text] })
  const override = (members: object): Edits => ({
    ...here,
    'spec.volumeRestoreOverrides': [{ volumeName: 'd', restoreName: 'x', ...members }],
  })
  const persistent = { devices: { tpm: { persistent: true } } }
  const earlier = (status: object) => stored('VirtualMachineRestore', 'r', { spec: { target: VM }, status })
  testRules(RESTORE, [
    ['REST-001', { ...here, ...elsewhere }, '400', here],
    ['REST-002', { ...here, '@off': ['Snapshot'] }, '400', here],
    ['REST-003', { ...here, ...broken }, '400', here],
    ['REST-004', { ...here, 'spec.target.apiGroup': undefined }, 'NotFound spec.target.apiGroup', here],
    ['REST-005', { ...here, 'spec.target.apiGroup': 'apps' }, 'Invalid spec.target.apiGroup', here],
    ['REST-006', { ...here, 'spec.target.kind': 'Pod' }, 'Invalid spec.target.kind', here],
    [
      'REST-007',
      patch('{"op": "remove", "path"}'),
      'Invalid spec.patches',
      patch('{"op": "remove", "path": "/spec/running"}'),
    ],
    [
      'REST-008',
      patch('{"path": "/status/ready"}'),
      'Invalid spec.patches',
      patch('{"path": "/metadata/labels/a"}'),
    ],
    [
      'REST-009: without the snapshot, nothing is said of patches',
      patch('x'),
      'Invalid spec.patches',
      { 'spec.patches': ['x'] },
    ],
    [
      'REST-010',
      { '@objects': [stored('VirtualMachineSnapshot', 's', { status: {} })] },
      '400',
      { '@objects': [snapshot, content()] },
    ],
    [
      'REST-011',
      { '@objects': [snapshot, content(persistent)] },
      'Invalid spec',
      { '@objects': [snapshot, content(persistent), target] },
    ],
    [
      'REST-012',
      override({ volumeName: '' }),
      'Required spec.volumeRestoreOverrides[0].volumeName',
      override({}),
    ],
    [
      'REST-013',
      override({ restoreName: '' }),
      'Required spec.volumeRestoreOverrides[0]',
      override({ restoreName: '', labels: {} }),
    ],
    [
      'REST-014',
      { ...here, 'spec.volumeRestorePolicy': 'Never' },
      'Invalid spec.volumeRestorePolicy',
      { ...here, 'spec.volumeRestorePolicy': 'InPlace' },
    ],
    [
      'REST-015',
      { ...here, 'spec.volumeOwnershipPolicy': 'Me' },
      'Invalid spec.volumeOwnershipPolicy',
      { ...here, 'spec.volumeOwnershipPolicy': 'None' },
    ],
    [
      'REST-016',
      { '@objects': [snapshot, target, earlier({ complete: false })] },
      'Invalid spec.target',
      { '@objects': [snapshot, target, earlier({ complete: true })] },
    ],
    ['REST-017', { ...here, ...lost }, '400', { ...here, '@old': {} }],
    ['REST-018', { ...here, '@old': { 'spec.target.name': 'x' } }, 'Invalid spec', { ...here, '@old': {} }],
    ['REST-019', { ...here, '@operation': 'DELETE' }, '400', here],
  ])
})

describe('backups and their trackers', () => {
  const on = { '@on': ['IncrementalBackup'] }
  const BACKUP = subject('VirtualMachineBackup', 'backup.kubevirt.io', { source: VM })
  const TRACKER = subject('VirtualMachineBackupTracker', 'backup.kubevirt.io', { source: VM })
  const earlier = (name: string, type: string): Edits => ({
    ...on,
    '@objects': [
      stored('VirtualMachineBackup', name, {
        spec: { source: VM },
        status: { conditions: [{ type, status: 'True' }] },
      }),
    ],
  })
  testRules(BACKUP, [
    ['BKP-001', { ...on, ...elsewhere }, '400', on],
    ['BKP-002', {}, '400', on],
    ['BKP-003: what is changed is not looked at', { ...on, ...broken }, '400', { ...lost, ...broken }],
    ['BKP-004', { ...on, ...broken }, '400', on],
    ['BKP-005', earlier('a', 'Complete'), 'Invalid metadata.name', earlier('b', 'Complete')],
    ['BKP-006', earlier('b', 'Progressing'), 'Invalid spec.source', earlier('b', 'Failed')],
  ])
  testRules(TRACKER, [
    ['BKT-001', { ...on, ...elsewhere }, '400', on],
    ['BKT-002', {}, '400', on],
    ['BKT-003: what it holds is not looked at', {}, '400', { ...on, ...broken }],
  ])
})

describe('exports', () => {
  const EXPORT = subject('VirtualMachineExport', 'export.kubevirt.io', { source: VM })
  const from = (kind: string, apiGroup: string | undefined, name = 'x'): Edits => ({
    'spec.source': { kind, name, ...(apiGroup !== undefined && { apiGroup }) },
  })
  const NAME = 'Invalid spec.source.name'
  const GROUP = 'Invalid spec.source.APIGroup'
  const gates = { '@on': ['OCIExport'] }
  const template = { ...gates, ...from('VirtualMachineTemplate', 'template.kubevirt.io') }
  const snapshot = from('VirtualMachineSnapshot', 'snapshot.kubevirt.io')
  const backup = from('VirtualMachineBackup', 'backup.kubevirt.io')
  const claim = from('PersistentVolumeClaim', '')
  testRules(EXPORT, [
    ['EXP-001', elsewhere, '400'],
    ['EXP-002', broken, '400'],
    ['EXP-003', from('PersistentVolumeClaim', '', ''), NAME, claim],
    ['EXP-004', from('PersistentVolumeClaim', 'v1'), GROUP, claim],
    ['EXP-005', from('VirtualMachineSnapshot', 'snapshot.kubevirt.io', ''), NAME, snapshot],
    ['EXP-006', from('VirtualMachineSnapshot', undefined), GROUP, snapshot],
    ['EXP-007', from('VirtualMachine', 'kubevirt.io', ''), NAME],
    ['EXP-008', from('VirtualMachine', 'apps'), GROUP],
    ['EXP-009', from('VirtualMachineBackup', 'backup.kubevirt.io', ''), NAME, backup],
    ['EXP-010', from('VirtualMachineBackup', 'kubevirt.io'), GROUP, backup],
    ['EXP-011', { ...template, '@on': [] }, 'Invalid spec.source.kind', template],
    ['EXP-012', { ...gates, ...from('VirtualMachineTemplate', 'template.kubevirt.io', '') }, NAME, template],
    ['EXP-013', { ...gates, ...from('VirtualMachineTemplate', 'kubevirt.io') }, GROUP, template],
    ['EXP-014', from('Pod', ''), 'Invalid spec.source.kind'],
    ['EXP-015', lost, '400', { '@old': {} }],
    ['EXP-016', { '@old': { 'spec.source.name': 'x' } }, 'Invalid spec', { '@old': {} }],
    ['EXP-017', { '@operation': 'DELETE' }, '400'],
  ])
})

describe('clones', () => {
  const CLONE: Subject = {
    ...subject('VirtualMachineClone', 'clone.kubevirt.io', { source: VM, target: { ...VM, name: 'copy' } }),
    path: '/vm-clone-validate-create',
  }
  const filters = (path: string, filter: string): Edits => ({ [path]: [filter] })
  testRules(CLONE, [
    ['CLONE-001', elsewhere, '400'],
    ['CLONE-002', { '@off': ['Snapshot'] }, '400'],
    ['CLONE-003', broken, '400'],
    [
      'CLONE-004',
      filters('spec.annotationFilters', 'a!'),
      'Invalid spec.annotations',
      filters('spec.annotationFilters', '!a*'),
    ],
    [
      'CLONE-005',
      filters('spec.labelFilters', 'a*b'),
      'Invalid spec.labels',
      filters('spec.labelFilters', '*'),
    ],
    [
      'CLONE-006',
      filters('spec.template.annotationFilters', '!'),
      'Invalid spec.template.annotations',
      filters('spec.template.annotationFilters', 'a'),
    ],
    [
      'CLONE-007',
      filters('spec.template.labelFilters', '**'),
      'Invalid spec.template.labels',
      filters('spec.template.labelFilters', 'a/*'),
    ],
    [
      'CLONE-008',
      { 'spec.source.kind': 'Pod' },
      'Invalid spec.Source.Kind',
      { 'spec.source.kind': 'VirtualMachineSnapshot' },
    ],
    ['CLONE-009', { 'spec.target.kind': 'Pod' }, 'Invalid spec.Target.Kind', { 'spec.target': undefined }],
    ['CLONE-010', { 'spec.source.apiGroup': '' }, 'Invalid spec.Source.APIGroup'],
    ['CLONE-011', { 'spec.source.kind': '' }, 'Invalid spec.Source'],
    ['CLONE-012', { 'spec.source.name': '' }, 'Invalid spec.Source.Name'],
    ['CLONE-013', { 'spec.target.name': 'vm' }, 'Invalid spec.target.name'],
    [
      'CLONE-014',
      { 'spec.newMacAddresses': { n: '02:00' } },
      'Invalid spec.newMacAddresses.n',
      { 'spec.newMacAddresses': { n: '02:00:00:00:00:01' } },
    ],
    ['CLONE-015', { 'spec.patches': ['{'] }, 'Invalid spec.patches[0]', { 'spec.patches': ['{}'] }],
  ])

  test('CLONE-004 … 015 count for what is changed, too; the gate does not', async () => {
    const update = { '@old': {}, '@off': ['Snapshot'] }
    expect(await complaintsOf(CLONE, { ...update, 'spec.patches': ['{'] })).toEqual([
      'Invalid spec.patches[0]',
    ])
    expect(await complaintsOf(CLONE, update)).toEqual([])
  })
})
