import { expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import {
  CONTROLLER_REVISIONS,
  DATA_SOURCES,
  INSTANCETYPES,
  PREFERENCES,
  PVCS,
  VMS,
} from '../../src/kinds/table.ts'
import { badRequest } from '../../src/lib/errors.ts'
import { causesOf, emptyReader, makeAdmission, requestOf } from '../helpers/admission.ts'
import { objectOf, readerOf } from '../instancetype/world.ts'

const TYPE = 'VirtualMachineInstancetype'
const PREFERENCE = 'VirtualMachinePreference'
const B = 'spec.template.spec.domain'
const label = (what: string, name: string) => ({ [`instancetype.kubevirt.io/default-${what}`]: name })

const objects: KubeObject[] = [
  objectOf(INSTANCETYPES, 'small', { spec: { cpu: { guest: 3 }, memory: { guest: '2Gi' } } }, 'default'),
  objectOf(PREFERENCES, 'linux', { spec: { devices: { preferredDiskBus: 'virtio' } } }, 'default'),
  objectOf(PREFERENCES, 'spread', { spec: { cpu: { preferredCPUTopology: 'spread' } } }, 'default'),
  objectOf(PREFERENCES, 'hungry', { spec: { requirements: { memory: { guest: '4Gi' } } } }, 'default'),
  objectOf(
    PREFERENCES,
    'bound',
    {
      spec: {
        preferredArchitecture: 'arm64',
        machine: { preferredMachineType: 'virt-9' },
        volumes: { preferredStorageClassName: 'fast' },
      },
    },
    'default',
  ),
  objectOf(
    CONTROLLER_REVISIONS,
    'rev',
    {
      metadata: { labels: { 'instancetype.kubevirt.io/object-name': 'gone' } },
      data: {
        apiVersion: 'instancetype.kubevirt.io/v1beta1',
        kind: TYPE,
        spec: { cpu: { guest: 1 }, memory: { guest: '1Gi' } },
      },
      revision: 0,
    },
    'default',
  ),
  objectOf(
    PVCS,
    'labelled',
    {
      metadata: {
        labels: {
          ...label('instancetype', 'small'),
          ...label('instancetype-kind', TYPE),
          ...label('preference', 'linux'),
          ...label('preference-kind', PREFERENCE),
        },
      },
    },
    'default',
  ),
  objectOf(PVCS, 'bare', {}, 'default'),
  objectOf(
    DATA_SOURCES,
    'arm',
    { metadata: { labels: { 'template.kubevirt.io/architecture': 'arm64' } } },
    'images',
  ),
  objectOf(
    DATA_SOURCES,
    'pointer',
    { spec: { source: { dataSource: { namespace: 'images', name: 'arm' } } } },
    'default',
  ),
]
const admission = makeAdmission({}, { ...emptyReader, ...readerOf(...objects) })

const plain = { spec: { domain: { devices: {} } } }
const review = (spec: object, old?: object, status?: object) => {
  const metadata = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }
  const whole = { runStrategy: 'Halted', template: plain, ...spec }
  const before = { metadata, spec: { runStrategy: 'Halted', template: plain, ...old } } as unknown as Vm
  return admission.review(
    requestOf(
      VMS,
      { metadata, spec: whole, ...(status && { status }) },
      old ? { operation: 'UPDATE', old: before } : {},
    ),
  )
}
const small = { name: 'small', kind: TYPE }
const preferring = (name: string) => ({ name, kind: PREFERENCE })
const on = (claimName: string) => ({
  spec: {
    domain: { devices: {}, memory: { guest: '1Gi' } },
    volumes: [{ name: 'root', persistentVolumeClaim: { claimName } }],
  },
})

test.each<[string, object, object | undefined, string[]]>([
  [
    'MUT-VM-005',
    { instancetype: { ...small, revisionName: 'r' } },
    { instancetype: { name: 'large', revisionName: 'r' } },
    ['Invalid spec.instancetype.revisionName'],
  ],
  [
    'MUT-VM-005',
    { instancetype: { ...small, revisionName: 'r' } },
    { instancetype: { name: 'large', revisionName: 'q' } },
    [],
  ],
  [
    'MUT-VM-005',
    { instancetype: { ...small, revisionName: 'r' } },
    { instancetype: { ...small, revisionName: 'r' } },
    [],
  ],
  [
    'MUT-VM-006',
    { preference: { name: 'linux', revisionName: 'r' } },
    { preference: { name: 'other', revisionName: 'r' } },
    ['Invalid spec.preference.revisionName'],
  ],
  ['MUT-VM-007', { instancetype: { kind: TYPE } }, undefined, ['NotFound spec.instancetype']],
  [
    'MUT-VM-008, 009',
    { instancetype: { ...small, inferFromVolume: 'root' } },
    undefined,
    ['NotSupported spec.instancetype.name', 'NotSupported spec.instancetype.kind'],
  ],
  [
    'MUT-VM-007, 010',
    { instancetype: { inferFromVolumeFailurePolicy: 'Perhaps' }, preference: {} },
    undefined,
    ['NotFound spec.instancetype', 'Invalid spec.instancetype.inferFromVolumeFailurePolicy'],
  ],
  ['MUT-VM-010', { instancetype: { ...small, inferFromVolumeFailurePolicy: 'Ignore' } }, undefined, []],
  ['MUT-VM-011', { preference: {} }, undefined, ['NotFound spec.preference']],
  [
    'MUT-VM-012, 013, 014',
    { preference: { ...preferring('linux'), inferFromVolume: 'root', inferFromVolumeFailurePolicy: '' } },
    undefined,
    [
      'NotSupported spec.preference.name',
      'NotSupported spec.preference.kind',
      'Invalid spec.preference.inferFromVolumeFailurePolicy',
    ],
  ],
])('%s: what a VM says of its references', async (_id, spec, old, causes) => {
  expect(await causesOf(review(spec, old))).toEqual(causes)
})

test('MUT-INF-014, 015: what is inferred is named, and takes the place of the memory that would do without', async () => {
  const infer = { inferFromVolume: 'root' }
  const ignore = { ...infer, inferFromVolumeFailurePolicy: 'Ignore' }
  const spec = { instancetype: ignore, preference: infer, template: on('labelled') }
  const { object } = await review(spec)
  const { instancetype, preference, template } = (object as Vm).spec
  expect([instancetype, preference]).toEqual([small, preferring('linux')])
  expect(template.spec.domain.memory).toBeUndefined()
  // Without that policy the memory stays, and contradicts.
  expect(await causesOf(review({ ...spec, instancetype: infer }))).toEqual([`Invalid ${B}.memory.guest`])
})

test('MUT-INF-005: what cannot be inferred is refused, or left away', async () => {
  const infer = { inferFromVolume: 'root' }
  const ignore = { ...infer, inferFromVolumeFailurePolicy: 'Ignore' }
  await expect(review({ instancetype: infer, template: on('bare') })).rejects.toMatchObject({
    code: 400,
    message: expect.stringMatching(/cannot be inferred/),
  })
  const { object } = await review({ instancetype: ignore, preference: ignore, template: on('bare') })
  expect((object as Vm).spec).not.toHaveProperty('instancetype')
  expect((object as Vm).spec).not.toHaveProperty('preference')
  expect((object as Vm).spec.template.spec.domain.memory).toEqual({ guest: '1Gi' })
})

test('MUT-VM-020 … 022: what a preference decides for the life of a VM is stored with it', async () => {
  const claims = [
    { metadata: { name: 'a' }, spec: { storage: {}, source: { blank: {} } } },
    { metadata: { name: 'b' }, spec: { pvc: { storageClassName: '' }, source: { blank: {} } } },
  ]
  const template = {
    spec: {
      ...plain.spec,
      volumes: ['a', 'b'].map((name) => ({ name, dataVolume: { name } })),
    },
  }
  const { object } = await review({ preference: preferring('bound'), dataVolumeTemplates: claims, template })
  const { spec } = object as Vm
  expect(spec.template.spec).toMatchObject({ architecture: 'arm64', domain: { machine: { type: 'virt-9' } } })
  expect(
    spec.dataVolumeTemplates?.map(({ spec: { pvc, storage } }) => (pvc ?? storage)?.storageClassName),
  ).toEqual(['fast', ''])
})

test.each([
  ['of that name', { kind: 'DataSource', namespace: 'images', name: 'arm' }, 'arm64'],
  ['that leads to another', { kind: 'datasource', name: 'pointer' }, 'arm64'],
  ['that is not there', { kind: 'DataSource', name: 'none' }, 'amd64'],
  ['of another kind', { kind: 'Something', namespace: 'images', name: 'arm' }, 'amd64'],
])('MUT-VM-031: the architecture is that of the source %s', async (_which, sourceRef, architecture) => {
  const template = { spec: { ...plain.spec, volumes: [{ name: 'a', dataVolume: { name: 'a' } }] } }
  const dataVolumeTemplates = [{ metadata: { name: 'a' }, spec: { storage: {}, sourceRef } }]
  const { object } = await review({ dataVolumeTemplates, template })
  expect((object as Vm).spec.template.spec.architecture).toBe(architecture)
})

const template = (domain: object) => ({ spec: { domain: { devices: {}, ...domain } } })

test.each<[string, object, string[]]>([
  ['a VM that fits', { instancetype: small, preference: preferring('linux') }, []],
  [
    'VM-IT-006, 013',
    { instancetype: small, template: template({ cpu: { cores: 2 }, memory: { guest: '1Gi' } }) },
    [`Invalid ${B}.cpu.cores`, `Invalid ${B}.memory.guest`],
  ],
  [
    'VM-SPREAD-001',
    {
      instancetype: small,
      preference: preferring('spread'),
      template: template({ memory: { guest: '1Gi' } }),
    },
    ['Invalid instancetype.spec.cpu.guest'],
  ],
  ['VM-REQ-010', { instancetype: small, preference: preferring('hungry') }, ['NotFound spec.instancetype']],
  [
    'VM-REQ-010',
    { preference: preferring('hungry'), template: template({ memory: { guest: '2Gi' } }) },
    [`NotFound ${B}.memory`],
  ],
  ['VM-REQ-010', { preference: preferring('hungry'), template: template({ memory: { guest: '4Gi' } }) }, []],
  [
    'the guest that would come of it is judged',
    { instancetype: small, template: template({ cpu: { maxSockets: 2 } }) },
    [`Invalid ${B}.cpu.sockets`, `Invalid ${B}.cpu.sockets`],
  ],
  [
    'what cannot be found counts as not named',
    {
      instancetype: { name: 'none' },
      preference: { name: 'none' },
      template: template({ memory: { guest: '1Gi' } }),
    },
    [],
  ],
  [
    'a kind that there is not counts as not named',
    { instancetype: { name: 'small', kind: 'Pod' }, template: template({ memory: { guest: '1Gi' } }) },
    [],
  ],
])('%s', async (_id, spec, causes) => {
  expect(await causesOf(review(spec))).toEqual(causes)
  expect(await causesOf(review(spec, {}))).toEqual(causes)
})

test('a VM is judged by the revision that its status names', async () => {
  const status = { instancetypeRef: { name: 'gone', controllerRevisionRef: { name: 'rev' } } }
  const spec = { instancetype: { name: 'gone' }, template: template({ memory: { guest: '1Gi' } }) }
  expect(await causesOf(review(spec, {}, status))).toEqual([`Invalid ${B}.memory.guest`])
})

test('nothing of what is judged is stored', async () => {
  const { object } = await review({ instancetype: small, preference: preferring('linux') })
  const { instancetype, template } = (object as Vm).spec
  expect(instancetype).toEqual(small)
  expect(template.spec.domain.memory).toBeUndefined()
  expect(template.spec.networks).toBeUndefined()
})

test('a VM that is being deleted is left alone', async () => {
  const metadata = { name: 'a', namespace: 'default', deletionTimestamp: '2026-01-01T00:00:00Z' }
  const spec = { instancetype: {}, runStrategy: 'Halted', template: plain }
  // As in `review`.
  const old = { metadata, spec } as unknown as Vm
  const request = requestOf(VMS, { metadata, spec }, { operation: 'UPDATE', old })
  expect(await causesOf(admission.review(request))).toEqual([])
})

test('a failure to read is no reason to take a reference for absent', async () => {
  const broken = makeAdmission({}, { ...emptyReader, get: () => Promise.reject(badRequest('broken')) })
  const request = requestOf(VMS, { spec: { runStrategy: 'Halted', template: plain, instancetype: small } })
  await expect(broken.review(request)).rejects.toThrow('broken')
})
