import { expect, test } from 'vitest'
import { kubeVirtUser } from '../../src/admission/accounts.ts'
import type { User } from '../../src/auth/access.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIS } from '../../src/kinds/table.ts'
import { causesOf, makeAdmission, requestOf } from '../helpers/admission.ts'

const meta = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }
const create = (object: object, config = {}) => makeAdmission(config).review(requestOf(VMIS, object))
const complete = async (spec: object, config = {}) => (await create({ spec }, config)).object as Vmi
const guest = { domain: { memory: { guest: '64Mi' } } }

test('a minimal VMI becomes what KubeVirt makes of it', async () => {
  expect(await complete(guest)).toEqual({
    metadata: {
      ...meta,
      resourceVersion: '',
      annotations: { 'kubevirt.io/pci-topology-version': 'v3' },
      finalizers: ['kubevirt.io/foregroundDeleteVirtualMachine'],
    },
    spec: {
      architecture: 'amd64',
      evictionStrategy: 'None',
      domain: {
        cpu: { cores: 1, sockets: 1, threads: 1, maxSockets: 4, model: 'host-model' },
        memory: { guest: '64Mi' },
        machine: { type: 'q35' },
        firmware: { uuid: 'uid-1' },
        features: { acpi: { enabled: true } },
        devices: { interfaces: [{ name: 'default', bridge: {} }] },
        resources: {},
      },
      networks: [{ name: 'default', pod: {} }],
    },
    status: {
      phase: 'Pending',
      phaseTransitionTimestamps: [{ phase: 'Pending', phaseTransitionTimestamp: '2026-01-01T00:00:00Z' }],
      guestOSInfo: {},
      runtimeUser: 107,
      currentCPUTopology: { cores: 1, sockets: 1, threads: 1 },
      memory: { guestAtBoot: '64Mi', guestCurrent: '64Mi', guestRequested: '64Mi' },
    },
  })
})

test('the host without a bridge gives guests a masquerade interface', async () => {
  const { spec } = await complete(guest, { defaultNetworkInterface: 'masquerade' })
  expect(spec.domain.devices.interfaces).toEqual([{ name: 'default', masquerade: {} }])
})

test.each([
  ['asks for none', { domain: { ...guest.domain, devices: { autoattachPodInterface: false } } }],
  [
    'has its own',
    {
      domain: { ...guest.domain, devices: { interfaces: [{ name: 'n', masquerade: {} }] } },
      networks: [{ name: 'n', pod: {} }],
    },
  ],
])('a guest that %s gets no interface', async (_state, spec) => {
  const { domain } = (await complete(spec)).spec
  expect((domain.devices.interfaces ?? []).map(({ name }) => name)).not.toContain('default')
})

test('every volume gets a disk, on a bus, and every image a pull policy', async () => {
  const { spec } = await complete({
    domain: {
      ...guest.domain,
      devices: { disks: [{ name: 'cd', cdrom: {} }], filesystems: [{ name: 'fs', virtiofs: {} }] },
    },
    volumes: [
      { name: 'root', containerDisk: { image: 'registry/a' } },
      { name: 'cd', containerDisk: { image: 'registry/a:1' } },
      { name: 'pinned', containerDisk: { image: 'registry/a@sha256:0' } },
      { name: 'latest', containerDisk: { image: 'registry/a:latest' } },
      { name: 'fs', configMap: { name: 'c' } },
    ],
  })
  expect(spec.domain.devices.disks).toEqual([
    { name: 'cd', cdrom: { bus: 'sata', readonly: true, tray: 'closed' } },
    ...['root', 'pinned', 'latest'].map((name) => ({ name, disk: { bus: 'sata' } })),
  ])
  expect(spec.volumes?.map(({ containerDisk }) => containerDisk?.imagePullPolicy)).toEqual([
    'Always',
    'IfNotPresent',
    'IfNotPresent',
    'Always',
    undefined,
  ])
})

test.each([
  ['a request', { resources: { requests: { memory: '128Mi', cpu: '3' } } }, '128Mi', 3],
  ['limits', { resources: { limits: { memory: '256Mi', cpu: '1500m' } } }, '256Mi', 2],
  ['huge pages', { memory: { hugepages: { pageSize: '2Mi' } } }, '2Mi', 1],
])('memory and sockets follow from %s', async (_source, domain, memory, sockets) => {
  const { spec } = await complete({ domain })
  expect(spec.domain.memory?.guest).toBe(memory)
  expect(spec.domain.cpu).toMatchObject({ cores: 1, sockets, threads: 1 })
})

test('a guest that says one part of its topology is left to say the others', async () => {
  const { spec } = await complete({ domain: { ...guest.domain, cpu: { cores: 2 } } })
  expect(spec.domain.cpu).toEqual({ cores: 2, model: 'host-model' })
})

test('a guest of a gigabyte may grow fourfold, a smaller one or one on arm64 may not', async () => {
  const grown = async (spec: object) => (await complete(spec)).spec.domain.memory?.maxGuest
  const large = { domain: { memory: { guest: '1Gi' } } }
  expect(await grown(large)).toBe('4Gi')
  expect(await grown({ domain: { memory: { guest: '1023Mi' } } })).toBeUndefined()
  expect(await grown({ ...large, architecture: 'arm64' })).toBeUndefined()
})

test('an arm64 guest gets EFI, virtio and the CPU of its host', async () => {
  const { spec } = await complete({
    ...guest,
    architecture: 'arm64',
    volumes: [{ name: 'v', emptyDisk: { capacity: '1Gi' } }],
  })
  expect(spec.domain).toMatchObject({
    machine: { type: 'virt' },
    firmware: { bootloader: { efi: { secureBoot: false } } },
    cpu: { model: 'host-passthrough' },
    devices: { disks: [{ name: 'v', disk: { bus: 'virtio' } }] },
  })
})

test('Hyper-V features bring what they build on', async () => {
  const { spec } = await complete({
    domain: {
      ...guest.domain,
      features: { hyperv: { evmcs: {}, synictimer: { direct: {} }, spinlocks: {} } },
    },
  })
  expect(spec.domain.features?.hyperv).toEqual({
    evmcs: { enabled: true },
    vapic: { enabled: true },
    synictimer: { enabled: true, direct: { enabled: true } },
    synic: { enabled: true },
    vpindex: { enabled: true },
    spinlocks: { enabled: true, spinlocks: 4096 },
  })
  expect(spec.domain.cpu?.features).toEqual([{ name: 'vmx', policy: 'require' }])
})

test.each([
  ['MAND-001', { domain: {} }, ['Required']],
  [
    'MAP-002',
    {
      domain: { ...guest.domain, devices: { disks: [{ name: 'v' }] } },
      volumes: [{ name: 'v', containerPath: { path: '/x' } }],
    },
    ['Invalid spec.domain.volumes[0]', 'Invalid spec.domain.volumes[0]'],
  ],
  [
    'NETD-002',
    {
      domain: { ...guest.domain, devices: { interfaces: [{ name: 'n', passt: {}, bridge: {} }] } },
      networks: [{ name: 'n', pod: {} }],
    },
    ['Invalid spec.domain.devices.interfaces[0].passt'],
  ],
  ['ARCH-001', { ...guest, architecture: 'riscv64' }, ['Invalid spec.architecture']],
  [
    'ARCH-003',
    { domain: { ...guest.domain, devices: { video: { type: 'x' } } } },
    ['NotSupported spec.domain.devices.video.type'],
  ],
  [
    'ARCH-012',
    { domain: { ...guest.domain, devices: { sound: { name: 's' } } }, architecture: 'arm64' },
    ['NotSupported spec.domain.devices.sound'],
  ],
  [
    'HV-008',
    { domain: { ...guest.domain, features: { hyperv: {}, hypervPassthrough: {} } } },
    ['Invalid spec.domain.features.hyperv'],
  ],
])('VMI-%s refuses', async (_id, spec, causes) => {
  expect(await causesOf(create({ spec }))).toEqual(causes)
})

test('causes of the network are told twice', async () => {
  const spec = {
    domain: { ...guest.domain, devices: { interfaces: [{ name: 'n', masquerade: {}, model: 'x' }] } },
    networks: [{ name: 'n', pod: {} }],
  }
  const cause = 'NotSupported spec.domain.devices.interfaces[0].model'
  expect(await causesOf(create({ spec }))).toEqual([cause, cause])
})

test('only ten causes are told, and how many there are besides', async () => {
  const disks = Array.from({ length: 14 }, (_value, number) => ({ name: `d${number}`, disk: {}, cache: 'x' }))
  const volumes = disks.map(({ name }) => ({ name, emptyDisk: { capacity: '1Gi' } }))
  const review = create({ spec: { domain: { ...guest.domain, devices: { disks } }, volumes } })
  expect(await causesOf(review)).toHaveLength(10)
  await expect(review).rejects.toThrow(/, and 4 more$/)
})

test('labels that KubeVirt steers by are set by KubeVirt alone', async () => {
  const object = { metadata: { ...meta, labels: { 'kubevirt.io/nodeName': 'n' } }, spec: guest }
  expect(await causesOf(create(object))).toEqual(['NotSupported metadata.labels'])
  const request = requestOf(VMIS, object, { user: kubeVirtUser('controller') })
  expect(await causesOf(makeAdmission().review(request))).toEqual([])
})

const update = (object: object, old: object, user: User = { name: 'somebody', groups: ['system:masters'] }) =>
  makeAdmission().review(
    requestOf(VMIS, object, { operation: 'UPDATE', old: { metadata: meta, ...old } as unknown as Vmi, user }),
  )

test('what somebody says about the status of a guest is put back, without a word', async () => {
  const old = { spec: guest, status: { phase: 'Running' } }
  const { object, warnings } = await update(
    { metadata: { ...meta, labels: { a: 'b' } }, spec: guest, status: { phase: 'Failed' } },
    old,
  )
  expect(object).toMatchObject({ metadata: { labels: { a: 'b' } }, status: { phase: 'Running' } })
  expect(warnings).toEqual([])
  expect(
    (await update({ spec: guest, status: { phase: 'Failed' } }, { spec: guest })).object,
  ).not.toHaveProperty('status')
})

test.each(['apiserver', 'controller', 'handler', 'synchronization-controller'] as const)(
  'kubevirt-%s sets the status and the spec',
  async (name) => {
    const spec = { domain: { memory: { guest: '128Mi' } } }
    const extra = { 'authentication.kubernetes.io/node-name': ['n1'] }
    const { object } = await update(
      { spec, status: { phase: 'Failed', nodeName: 'n1' } },
      { spec: guest, status: { phase: 'Running', nodeName: 'n1' } },
      { ...kubeVirtUser(name), extra },
    )
    expect(object).toMatchObject({ spec, status: { phase: 'Failed' } })
  },
)

test.each([
  ['the spec', { spec: { domain: { memory: { guest: '128Mi' } } } }],
  [
    'a label of KubeVirt',
    { spec: guest, metadata: { ...meta, labels: { 'kubevirt.io/nodeName': 'other' } } },
  ],
])('nobody else changes %s', async (_what, object) => {
  expect(await causesOf(update(object, { spec: guest }))).toEqual(['NotSupported'])
})

test('a service account of the same name elsewhere is nobody special', async () => {
  const user = { name: 'system:serviceaccount:default:kubevirt-controller', groups: [] }
  expect(
    await causesOf(update({ spec: { domain: { memory: { guest: '128Mi' } } } }, { spec: guest }, user)),
  ).toEqual(['NotSupported'])
})

test('what was handed in is left as it was', async () => {
  const request = requestOf(VMIS, { spec: structuredClone(guest) })
  const before = structuredClone(request)
  await makeAdmission().review(request)
  expect(request).toEqual(before)
})
