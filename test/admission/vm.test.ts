import { expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { VMS } from '../../src/kinds/table.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { causesOf, makeAdmission, requestOf } from '../helpers/admission.ts'

const meta = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }
const template = { spec: { domain: { memory: { guest: '64Mi' } } } }
const create = (spec: object, config = {}) => makeAdmission(config).review(requestOf(VMS, { spec }))
const update = (spec: object, old: object, status: object = {}) =>
  makeAdmission().review(
    requestOf(
      VMS,
      { spec, status },
      { operation: 'UPDATE', old: { metadata: meta, spec: old } as unknown as Vm },
    ),
  )

test('a new VM is given an identity that its guests keep', async () => {
  const { object, warnings } = await create({ runStrategy: 'Halted', template })
  expect(object).toEqual({
    metadata: expect.any(Object),
    spec: {
      runStrategy: 'Halted',
      template: {
        metadata: { annotations: { 'kubevirt.io/pci-topology-version': 'v3' } },
        spec: {
          architecture: 'amd64',
          domain: {
            memory: { guest: '64Mi' },
            machine: { type: 'q35' },
            firmware: { uuid: 'uid-1', serial: 'uid-2' },
            devices: {},
            resources: {},
          },
        },
      },
    },
  })
  expect(object.metadata.finalizers).toBeUndefined()
  expect(warnings).toEqual([])
})

test('an update adds no identity, and keeps what is given', async () => {
  const spec = {
    runStrategy: 'Halted',
    template: {
      spec: {
        ...template.spec,
        architecture: 'arm64',
        domain: { ...template.spec.domain, machine: { type: 'virt-9' } },
      },
    },
  }
  const { object } = await update(spec, spec)
  expect((object as Vm).spec.template.spec).toMatchObject({
    architecture: 'arm64',
    domain: { machine: { type: 'virt-9' } },
  })
  expect((object as Vm).spec.template.spec.domain.firmware).toBeUndefined()
})

test('running is admitted with a word on what to use', async () => {
  expect((await create({ running: false, template })).warnings).toEqual([
    'spec.running is deprecated: use spec.runStrategy',
  ])
})

const dataVolume = (members: object) => ({
  runStrategy: 'Halted',
  template: { spec: { ...template.spec, volumes: [{ name: 'v', dataVolume: { name: 'dv' } }] } },
  dataVolumeTemplates: [
    { metadata: { name: 'dv' }, spec: { storage: {}, source: { blank: {} } }, ...members },
  ],
})
const DVT = 'spec.dataVolumeTemplate[0]'

test.each([
  ['VM-SPEC-001', { runStrategy: 'Halted' }, ['Required spec.template']],
  ['VM-RUN-001', { running: true, runStrategy: 'Always', template }, ['Invalid spec.running']],
  ['VM-RUN-002', { template }, ['Invalid spec.running']],
  ['VM-RUN-003', { runStrategy: 'WaitAsReceiver', template }, ['Invalid spec.runStrategy']],
  ['VM-RUN-004', { runStrategy: 'Sometimes', template }, ['Invalid spec.runStrategy']],
  ['VM-RUN-004', { runStrategy: '', template }, ['Invalid spec.runStrategy']],
  [
    'VM-SPEC-004',
    { runStrategy: 'Halted', template: { spec: { ...template.spec, hostname: 'Bad' } } },
    ['Invalid spec.template.spec.hostname'],
  ],
  [
    'VM-SPEC-002',
    {
      runStrategy: 'Halted',
      template: { ...template, metadata: { labels: { 'kubevirt.io/schedulable': 'x' } } },
    },
    ['NotSupported spec.template.metadata.labels'],
  ],
  [
    'VM-011',
    {
      runStrategy: 'Halted',
      template: {
        spec: {
          domain: { devices: { interfaces: [{ name: 'n', slirp: {} }] } },
          networks: [{ name: 'n', pod: {} }],
        },
      },
    },
    ['Invalid spec.domain.devices.interfaces[0].slirp'],
  ],
  [
    'VM-LIVE-002',
    {
      runStrategy: 'Halted',
      template: { spec: { domain: { memory: { guest: '64Mi', maxGuest: '128Mi' } } } },
    },
    ['Invalid spec.template.spec.domain.memory.guest'],
  ],
  ['VM-DVT-001', dataVolume({ metadata: {} }), [`Required ${DVT}.name`]],
  ['VM-DVT-002', dataVolume({ spec: {} }), [`Invalid ${DVT}.PVC.Storage`]],
  ['VM-DVT-005', dataVolume({ spec: { pvc: {} } }), [`Invalid ${DVT}.source.sourceRef`]],
  [
    'VM-DVT-007',
    dataVolume({ spec: { pvc: {}, source: { blank: {}, http: {} } } }),
    [`Invalid ${DVT}.source`],
  ],
  ['VM-DVT-008', dataVolume({ metadata: { name: 'unused' } }), [`Required ${DVT}`]],
  [
    'VM-ST-002',
    dataVolume({ metadata: { name: 'dv', namespace: 'other' } }),
    ['Invalid spec.dataVolumeTemplates[0]'],
  ],
])('%s refuses', async (_id, spec, causes) => {
  expect(await causesOf(create(spec))).toEqual(causes)
})

test.each(['Always', 'Halted', 'Manual', 'RerunOnFailure', 'Once'])(
  'the run strategy %s is admitted',
  async (runStrategy) => {
    expect(await causesOf(create({ runStrategy, template }))).toEqual([])
  },
)

test('a VM with a DataVolume that it uses is admitted', async () => {
  expect(await causesOf(create(dataVolume({})))).toEqual([])
})

test('a guest is judged with the defaults it will get, which are not stored', async () => {
  const spec = {
    runStrategy: 'Halted',
    template: { spec: { domain: {}, volumes: [{ name: 'v', emptyDisk: { capacity: '1Gi' } }] } },
  }
  expect((await create(spec)).object).toMatchObject({
    spec: { template: { spec: { domain: { devices: {} } } } },
  })
  const refused = create(spec, { permitBridgeOnPodNetwork: false })
  await expect(refused).rejects.toThrow(StatusError)
  await expect(refused).rejects.toMatchObject({ code: 400 })
})

test('a VM that is being deleted is let be', async () => {
  const object = {
    metadata: { ...meta, deletionTimestamp: '2026-01-01T00:00:00Z' },
    spec: { runStrategy: 'nonsense' },
  }
  const request = requestOf(VMS, object, { operation: 'UPDATE', old: object as unknown as Vm })
  expect((await makeAdmission().review(request)).object).toEqual(object)
})

test.each([
  [
    'volumes',
    {
      runStrategy: 'Halted',
      template: { spec: { ...template.spec, volumes: [{ name: 'v', emptyDisk: { capacity: '1Gi' } }] } },
    },
  ],
  ['the run strategy', { runStrategy: 'Always', template }],
  ['the way it is said', { running: false, template }],
])('while a snapshot is taken %s cannot be changed', async (_what, spec) => {
  const old = { runStrategy: 'Halted', template }
  expect(await causesOf(update(spec, old, { snapshotInProgress: 's' }))).toEqual(['NotSupported spec'])
  expect(await causesOf(update(spec, old))).toEqual([])
})
