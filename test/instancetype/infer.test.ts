import { expect, test } from 'vitest'
import { inferMatcher } from '../../src/instancetype/infer.ts'
import { INSTANCETYPE, PREFERENCE } from '../../src/instancetype/references.ts'
import type { VmSpec } from '../../src/kinds/kubevirt.ts'
import { DATA_SOURCES, DATA_VOLUMES, PVCS, VOLUME_SNAPSHOTS } from '../../src/kinds/table.ts'
import { objectOf, readerOf, vmOf } from './world.ts'

const label = (name: string, kind?: string) => ({
  metadata: {
    labels: {
      'instancetype.kubevirt.io/default-instancetype': name,
      ...(kind && { 'instancetype.kubevirt.io/default-instancetype-kind': kind }),
    },
  },
})
const KIND = 'VirtualMachineInstancetype'

const reader = readerOf(
  objectOf(PVCS, 'labelled', label('from-claim', KIND)),
  objectOf(PVCS, 'bare'),
  objectOf(PVCS, 'golden', label('from-golden'), 'images'),
  objectOf(PVCS, 'collected', label('from-collected')),
  objectOf(VOLUME_SNAPSHOTS, 'snap', label('from-snapshot'), 'images'),
  objectOf(DATA_VOLUMES, 'labelled', label('from-data-volume')),
  objectOf(DATA_VOLUMES, 'of-claim', { spec: { source: { pvc: { namespace: 'images', name: 'golden' } } } }),
  objectOf(DATA_VOLUMES, 'of-snapshot', {
    spec: { source: { snapshot: { namespace: 'images', name: 'snap' } } },
  }),
  objectOf(DATA_VOLUMES, 'of-registry', { spec: { source: { registry: { url: 'docker://x' } } } }),
  objectOf(DATA_VOLUMES, 'of-source', {
    spec: { sourceRef: { kind: 'DataSource', namespace: 'images', name: 'labelled' } },
  }),
  objectOf(DATA_VOLUMES, 'of-claim-of-source', {
    spec: { sourceRef: { kind: 'DataSource', name: 'of-claim' } },
  }),
  objectOf(DATA_VOLUMES, 'of-snapshot-of-source', {
    spec: { sourceRef: { kind: 'DataSource', name: 'of-snapshot' } },
  }),
  objectOf(DATA_VOLUMES, 'of-empty-source', { spec: { sourceRef: { kind: 'DataSource', name: 'empty' } } }),
  objectOf(DATA_VOLUMES, 'of-something', { spec: { sourceRef: { kind: 'datasource', name: 'labelled' } } }),
  objectOf(DATA_VOLUMES, 'of-missing', { spec: { source: { pvc: { namespace: 'ns', name: 'none' } } } }),
  objectOf(DATA_SOURCES, 'labelled', label('from-data-source'), 'images'),
  objectOf(DATA_SOURCES, 'of-claim', { spec: { source: { pvc: { namespace: 'images', name: 'golden' } } } }),
  objectOf(DATA_SOURCES, 'of-snapshot', {
    spec: { source: { snapshot: { namespace: 'images', name: 'snap' } } },
  }),
  objectOf(DATA_SOURCES, 'empty', { spec: { source: {} } }),
)

const claim = (claimName: string) => ({ persistentVolumeClaim: { claimName } })
const dataVolume = (name: string) => ({ dataVolume: { name } })

function infer(source: object, policy?: string, spec: Partial<VmSpec> = {}) {
  const template = { spec: { domain: { devices: {} }, volumes: [{ name: 'root', ...source }] } }
  const instancetype = {
    inferFromVolume: 'root',
    ...(policy && { inferFromVolumeFailurePolicy: policy }),
  }
  return inferMatcher(reader, vmOf({ template, instancetype, ...spec }), INSTANCETYPE)
}

test.each<[string, string, object, object]>([
  ['MUT-INF-002', 'a claim', claim('labelled'), { name: 'from-claim', kind: KIND }],
  ['MUT-INF-003, MUT-INF-008', 'a DataVolume', dataVolume('labelled'), { name: 'from-data-volume' }],
  [
    'MUT-INF-007',
    'the claim of a DataVolume that is gone',
    dataVolume('collected'),
    { name: 'from-collected' },
  ],
  ['MUT-INF-009', 'the claim a DataVolume is made from', dataVolume('of-claim'), { name: 'from-golden' }],
  [
    'MUT-INF-010',
    'the snapshot a DataVolume is made from',
    dataVolume('of-snapshot'),
    { name: 'from-snapshot' },
  ],
  ['MUT-INF-011', 'the source of a DataVolume', dataVolume('of-source'), { name: 'from-data-source' }],
  ['MUT-INF-011', 'the claim of that source', dataVolume('of-claim-of-source'), { name: 'from-golden' }],
  [
    'MUT-INF-011',
    'the snapshot of that source',
    dataVolume('of-snapshot-of-source'),
    { name: 'from-snapshot' },
  ],
])('%s: an instance type is inferred from %s', async (_id, _from, source, expected) => {
  expect(await infer(source)).toEqual(expected)
  expect(await infer(source, 'Ignore')).toEqual(expected)
})

test('MUT-INF-006: of a DataVolume that the VM makes, its source counts and not what bears its name', async () => {
  const dataVolumeTemplates = [
    { metadata: { name: 'labelled' }, spec: { source: { pvc: { namespace: 'images', name: 'golden' } } } },
  ]
  expect(await infer(dataVolume('labelled'), undefined, { dataVolumeTemplates })).toEqual({
    name: 'from-golden',
  })
})

test.each<[string, string, object]>([
  ['MUT-INF-004', 'is neither a claim nor a DataVolume', { emptyDisk: { capacity: '1Gi' } }],
  ['MUT-INF-005', 'has no label', claim('bare')],
  ['MUT-INF-011', 'has a source of another kind', dataVolume('of-something')],
  ['MUT-INF-011', 'has a source that says nothing', dataVolume('of-empty-source')],
  ['MUT-INF-012', 'has a source that bears no labels', dataVolume('of-registry')],
])('%s: a volume that %s may be ignored', async (_id, _how, source) => {
  expect(await infer(source, 'Ignore')).toBeUndefined()
  await expect(infer(source, 'Reject')).rejects.toThrow(
    /instance type cannot be inferred: .*spec\.instancetype\.name/,
  )
  await expect(infer(source)).rejects.toThrow(/cannot be inferred/)
})

test.each<[string, string, object]>([
  ['MUT-INF-013', 'is a claim that is not there', claim('none')],
  ['MUT-INF-013', 'is made from a claim that is not there', dataVolume('of-missing')],
  ['MUT-INF-007', 'is a DataVolume without one', dataVolume('none')],
])('%s: a volume that %s is never ignored', async (_id, _how, source) => {
  await expect(infer(source, 'Ignore')).rejects.toThrow(/there is no PersistentVolumeClaim "none"/)
})

test('MUT-INF-001: a volume that the VM does not have is never ignored', async () => {
  const vm = vmOf({ instancetype: { inferFromVolume: 'root', inferFromVolumeFailurePolicy: 'Ignore' } })
  await expect(inferMatcher(reader, vm, INSTANCETYPE)).rejects.toThrow(/there is no volume "root"/)
})

test('what is named is not inferred, and a preference has labels of its own', async () => {
  const instancetype = { name: 'small' }
  expect(await inferMatcher(reader, vmOf({ instancetype }), INSTANCETYPE)).toEqual(instancetype)
  expect(await inferMatcher(reader, vmOf({}), PREFERENCE)).toBeUndefined()
  const template = { spec: { domain: { devices: {} }, volumes: [{ name: 'root', ...claim('labelled') }] } }
  const vm = vmOf({ template, preference: { inferFromVolume: 'root' } })
  await expect(inferMatcher(reader, vm, PREFERENCE)).rejects.toThrow(/default-preference/)
})
