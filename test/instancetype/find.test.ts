import { expect, test } from 'vitest'
import { findReferences, findSpec } from '../../src/instancetype/find.ts'
import { INSTANCETYPE, PREFERENCE } from '../../src/instancetype/references.ts'
import { buildReferenceRevision } from '../../src/instancetype/revision.ts'
import type { Instancetype } from '../../src/kinds/instancetype.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import {
  CLUSTER_INSTANCETYPES,
  CLUSTER_PREFERENCES,
  CONTROLLER_REVISIONS,
  INSTANCETYPES,
  PREFERENCES,
  VMS,
} from '../../src/kinds/table.ts'
import { objectOf, readerOf, vmOf } from './world.ts'

const sized = (guest: number) => ({ spec: { cpu: { guest }, memory: { guest: '1Gi' } } })
const V1BETA1 = 'instancetype.kubevirt.io/v1beta1'
const revision = (name: string, data: unknown, objectName = 'small') =>
  objectOf(CONTROLLER_REVISIONS, name, {
    metadata: { labels: { 'instancetype.kubevirt.io/object-name': objectName } },
    data,
    revision: 0,
  })
const noted = (name: string) => ({ instancetypeRef: { name: 'small', controllerRevisionRef: { name } } })

const reader = readerOf(
  objectOf(INSTANCETYPES, 'small', sized(1)),
  objectOf(INSTANCETYPES, 'elsewhere', sized(9), 'other'),
  objectOf(CLUSTER_INSTANCETYPES, 'small', sized(2)),
  objectOf(PREFERENCES, 'linux', { spec: { preferredSubdomain: 'here' } }),
  objectOf(CLUSTER_PREFERENCES, 'linux', { spec: { preferredSubdomain: 'everywhere' } }),
  revision('kept', { apiVersion: V1BETA1, kind: 'VirtualMachineInstancetype', ...sized(3) }),
  revision('of-another', { apiVersion: V1BETA1, kind: 'VirtualMachineInstancetype', ...sized(4) }, 'large'),
  revision('alpha1', {
    apiVersion: 'instancetype.kubevirt.io/v1alpha1',
    spec: Buffer.from(JSON.stringify(sized(5).spec)).toString('base64'),
  }),
  revision('alpha2', {
    apiVersion: 'instancetype.kubevirt.io/v1alpha2',
    kind: 'VirtualMachineClusterInstancetype',
    ...sized(6),
  }),
  revision('preference', { apiVersion: V1BETA1, kind: 'VirtualMachinePreference', spec: {} }),
  revision('nonsense', { apiVersion: 'instancetype.kubevirt.io/v1alpha1', spec: '%%%' }),
  revision('unknown-version', {
    apiVersion: 'instancetype.kubevirt.io/v9',
    kind: 'VirtualMachineInstancetype',
    ...sized(7),
  }),
)

test.each([
  ['by name, in the cluster where it does not say', { name: 'small' }, 2],
  ['in the cluster', { name: 'small', kind: 'VirtualMachineClusterInstancetype' }, 2],
  ['in the namespace', { name: 'small', kind: 'VirtualMachineInstancetype' }, 1],
  ['by a plural in small letters', { name: 'small', kind: 'virtualmachineinstancetypes' }, 1],
  ['by its revision', { name: 'small', revisionName: 'kept' }, 3],
  ['by a revision of v1alpha1', { name: 'small', revisionName: 'alpha1' }, 5],
  ['by a revision of v1alpha2', { name: 'small', revisionName: 'alpha2' }, 6],
])('an instance type is found %s', async (_how, instancetype, guest) => {
  expect(await findSpec(reader, vmOf({ instancetype }), INSTANCETYPE)).toMatchObject({ cpu: { guest } })
})

test.each([
  ['of that object', noted('kept'), 3],
  ['of another object, which counts no longer', noted('of-another'), 2],
])('the revision that the status names counts: one %s', async (_which, status, guest) => {
  const vm = vmOf({ instancetype: { name: 'small' } }, status)
  expect(await findSpec(reader, vm, INSTANCETYPE)).toMatchObject({ cpu: { guest } })
})

test.each([
  ['does not exist', { name: 'none' }, /no such object as the VirtualMachineClusterInstancetype "none"$/],
  [
    'stands in another namespace',
    { name: 'elsewhere', kind: 'VirtualMachineInstancetype' },
    /"elsewhere" in namespace "ns"/,
  ],
  ['has no name', {}, /VirtualMachineClusterInstancetype ""/],
  ['is of no such kind', { name: 'small', kind: 'Pod' }, /spec\.instancetype\.kind is "Pod": it must be/],
  ['has no such revision', { revisionName: 'none' }, /ControllerRevision "none" in namespace "ns"/],
  ['is a revision of something else', { revisionName: 'preference' }, /holds no instance type/],
  ['is a revision that cannot be read', { revisionName: 'nonsense' }, /holds no instance type/],
  ['is a revision of a version to come', { revisionName: 'unknown-version' }, /holds no instance type/],
])('an instance type that %s is not found, and told', async (_how, instancetype, message) => {
  await expect(findSpec(reader, vmOf({ instancetype }), INSTANCETYPE)).rejects.toThrow(message)
})

test('a revision that the status names and that is gone is told', async () => {
  const vm = vmOf({ instancetype: { name: 'small' } }, noted('gone'))
  await expect(findSpec(reader, vm, INSTANCETYPE)).rejects.toThrow(/ControllerRevision "gone"/)
})

test('both are found, or neither where none is named', async () => {
  const preference = { name: 'linux', kind: 'VirtualMachinePreference' }
  expect(await findReferences(reader, vmOf({ instancetype: { name: 'small' }, preference }))).toEqual({
    instancetype: sized(2).spec,
    preference: { preferredSubdomain: 'here' },
  })
  expect(await findReferences(reader, vmOf({}))).toEqual({})
  expect(await findSpec(reader, vmOf({ preference: { name: 'linux' } }), PREFERENCE)).toEqual({
    preferredSubdomain: 'everywhere',
  })
})

test('a revision is named after what it holds, and holds it', async () => {
  const object = { ...objectOf(INSTANCETYPES, 'small', sized(8)), ...sized(8) } satisfies Instancetype
  object.metadata.generation = 3
  const vm = objectOf(VMS, 'web') as Vm
  const owner = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    name: 'web',
    uid: 'u',
    controller: true,
  }
  const built = buildReferenceRevision(vm, object, owner)
  expect(built.metadata).toEqual({
    namespace: 'ns',
    name: 'web-small-v1beta1-uid-of-small-3',
    labels: {
      'instancetype.kubevirt.io/object-name': 'small',
      'instancetype.kubevirt.io/object-kind': 'VirtualMachineInstancetype',
      'instancetype.kubevirt.io/object-uid': 'uid-of-small',
      'instancetype.kubevirt.io/object-version': 'v1beta1',
      'instancetype.kubevirt.io/object-generation': '3',
    },
    ownerReferences: [owner],
  })
  const stored = objectOf(CONTROLLER_REVISIONS, 'kept', { data: built.data, revision: 0 })
  const found = await findSpec(
    readerOf(stored),
    vmOf({ instancetype: { name: 'small', revisionName: 'kept' } }),
    INSTANCETYPE,
  )
  expect(found).toEqual(sized(8).spec)
})

test('the name of a revision is one that an object may have', () => {
  const object = { ...objectOf(INSTANCETYPES, 'a'.repeat(253)), ...sized(1) }
  const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'web', uid: 'u' }
  const names = ['b', 'c'].map(
    (end) =>
      buildReferenceRevision(objectOf(VMS, 'w'.repeat(252) + end) as Vm, object, owner).metadata.name ?? '',
  )
  expect(names.map(({ length }) => length)).toEqual([253, 253])
  expect(new Set(names).size).toBe(2)
})
