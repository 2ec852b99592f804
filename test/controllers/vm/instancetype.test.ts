import { expect, test } from 'vitest'
import type { Vm, VmSpec } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import {
  CLUSTER_PREFERENCES,
  CONTROLLER_REVISIONS,
  INSTANCETYPES,
  KUBEVIRTS,
  PVCS,
  VMIS,
  VMS,
} from '../../../src/kinds/table.ts'
import { buildVm, startWorld, type World } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

const KIND = 'VirtualMachineInstancetype'
const SMALL = { name: 'small', kind: KIND }
const template: VmSpec['template'] = {
  spec: { domain: { devices: {} }, volumes: [{ name: 'root', containerDisk: { image: 'x' } }] },
}

async function createSmall(world: World, guest = 2): Promise<void> {
  await world.store.create(INSTANCETYPES, {
    apiVersion: 'instancetype.kubevirt.io/v1beta1',
    kind: KIND,
    metadata: { namespace: 'default', name: 'small' },
    spec: { cpu: { guest }, memory: { guest: '256Mi' } },
  })
}

async function createLinux(world: World): Promise<void> {
  await world.store.create(CLUSTER_PREFERENCES, {
    apiVersion: 'instancetype.kubevirt.io/v1beta1',
    kind: 'VirtualMachineClusterPreference',
    metadata: { name: 'linux' },
    spec: {
      cpu: { preferredCPUTopology: 'cores' },
      devices: { preferredDiskBus: 'virtio', preferredInterfaceModel: 'e1000' },
    },
  })
}

const patchSpec = (world: World, spec: object) =>
  world.store.patch(VMS, 'default', 'web', { type: 'merge', body: { spec } })
const failure = (vm: Vm) => findCondition(vm.status?.conditions, 'Failure')

test('the guest is made of its instance type and its preference', async () => {
  const world = await startWorld()
  await createSmall(world)
  await createLinux(world)
  const spec = { instancetype: SMALL, preference: { name: 'linux' }, template }
  await world.store.create(VMS, buildVm('web', 'Always', spec))
  const vmi = await world.boot('web')
  expect(vmi.spec.domain).toMatchObject({
    cpu: { sockets: 1, cores: 2, threads: 1 },
    memory: { guest: '256Mi' },
    devices: {
      // What the VM left to the defaults has the preference's manners, too.
      disks: [{ name: 'root', disk: { bus: 'virtio' } }],
      interfaces: [{ name: 'default', bridge: {}, model: 'e1000' }],
    },
  })
  expect(vmi.spec.networks).toEqual([{ name: 'default', pod: {} }])
  expect(vmi.metadata.annotations).toMatchObject({
    'kubevirt.io/instancetype-name': 'small',
    'kubevirt.io/cluster-preference-name': 'linux',
  })
  const vm = await world.vm('web')
  expect(vm?.spec).toMatchObject(spec)
  expect(vm?.spec.template).toEqual(template)
})

test('a VM that does not run yet has the revisions it will run with', async () => {
  const world = await startWorld()
  await createSmall(world)
  await createLinux(world)
  await world.store.create(
    VMS,
    buildVm('web', 'Halted', { instancetype: SMALL, preference: { name: 'linux' }, template }),
  )
  const { metadata, status } = await world.vmUntil('web', ({ status }) => status?.preferenceRef !== undefined)
  const uid = (await world.store.get(INSTANCETYPES, 'default', 'small'))?.metadata.uid
  const name = `web-small-v1beta1-${uid}-1`
  expect(status?.instancetypeRef).toEqual({ ...SMALL, controllerRevisionRef: { name } })
  expect(status?.preferenceRef).toMatchObject({ name: 'linux', kind: 'VirtualMachineClusterPreference' })
  const revision = await world.store.get(CONTROLLER_REVISIONS, 'default', name)
  expect(revision?.metadata.ownerReferences).toMatchObject([{ uid: metadata.uid, controller: true }])
  expect(revision?.data).toMatchObject({ kind: KIND, spec: { cpu: { guest: 2 } } })
})

test('a VM keeps the size it was made with when its instance type changes, and when it goes', async () => {
  const world = await startWorld()
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Halted', { instancetype: SMALL, template }))
  await world.vmUntil('web', ({ status }) => status?.instancetypeRef !== undefined)
  await world.store.patch(INSTANCETYPES, 'default', 'small', {
    type: 'merge',
    body: { spec: { cpu: { guest: 8 } } },
  })
  await patchSpec(world, { runStrategy: 'Always' })
  expect((await world.boot('web')).spec.domain.cpu).toMatchObject({ sockets: 2 })
  await world.store.delete(INSTANCETYPES, 'default', 'small')
  await world.restart()
  await patchSpec(world, { runStrategy: 'Halted' })
  await world.vmiUntil('web', ({ metadata }) => metadata.deletionTimestamp !== undefined)
})

test('a revision that the VM names is used and noted', async () => {
  const world = await startWorld()
  await world.store.create(CONTROLLER_REVISIONS, {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { namespace: 'default', name: 'mine' },
    data: {
      apiVersion: 'instancetype.kubevirt.io/v1alpha2',
      kind: KIND,
      spec: { cpu: { guest: 3 }, memory: { guest: '1Gi' } },
    },
    revision: 0,
  })
  const instancetype = { ...SMALL, revisionName: 'mine' }
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype, template }))
  expect((await world.boot('web')).spec.domain.cpu).toMatchObject({ sockets: 3 })
  expect((await world.vm('web'))?.status?.instancetypeRef).toEqual({
    ...SMALL,
    controllerRevisionRef: { name: 'mine' },
  })
})

test('an instance type that is missing is told, and used once it is there', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype: SMALL, template }))
  const vm = await world.vmUntil('web', (vm) => failure(vm) !== undefined)
  expect(failure(vm)).toMatchObject({
    reason: 'FailedCreate',
    message: expect.stringMatching(/no such object as the VirtualMachineInstancetype "small"/),
  })
  expect(await world.vmi('web')).toBeUndefined()
  await turnUntil(async () => (await world.reasons('web')).includes('FailedCreate'))
  await createSmall(world)
  world.clock.advance(5_000)
  await world.boot('web')
  await world.vmUntil('web', (vm) => failure(vm) === undefined)
})

test('a template that contradicts its instance type is told, and used once mended', async () => {
  const world = await startWorld()
  await createSmall(world)
  const contradicting = { spec: { domain: { devices: {}, memory: { guest: '1Gi' } } } }
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype: SMALL, template: contradicting }))
  const vm = await world.vmUntil('web', (vm) => failure(vm) !== undefined)
  expect(failure(vm)?.message).toMatch(/remove spec\.template\.spec\.domain\.memory\.guest/)
  expect(await world.vmi('web')).toBeUndefined()
  await patchSpec(world, { template: { spec: { domain: { memory: null } } } })
  await world.boot('web')
})

test('another instance type waits for a restart', async () => {
  const world = await startWorld()
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype: SMALL, template }))
  await world.boot('web')
  await world.store.create(INSTANCETYPES, {
    apiVersion: 'instancetype.kubevirt.io/v1beta1',
    kind: KIND,
    metadata: { namespace: 'default', name: 'large' },
    spec: { cpu: { guest: 4 }, memory: { guest: '1Gi' } },
  })
  await patchSpec(world, { instancetype: { name: 'large' } })
  const vm = await world.vmUntil('web', ({ status }) => status?.instancetypeRef?.name === 'large')
  expect(vm.status?.instancetypeRef?.controllerRevisionRef?.name).toMatch(/^web-large-v1beta1-/)
  const waiting = await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'RestartRequired') !== undefined,
  )
  expect(findCondition(waiting.status?.conditions, 'RestartRequired')?.message).toMatch(/spec\.instancetype/)
  expect((await world.vmi('web'))?.spec.domain.cpu).toMatchObject({ sockets: 2 })
})

test('a VM that refers to nothing any more notes nothing', async () => {
  const world = await startWorld()
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Halted', { instancetype: SMALL, template }))
  await world.vmUntil('web', ({ status }) => status?.instancetypeRef !== undefined)
  await patchSpec(world, { instancetype: null })
  const { status } = await world.vmUntil('web', ({ status }) => status?.instancetypeRef === undefined)
  expect(status?.printableStatus).toBe('Stopped')
})

test('a missing instance type does not keep a VM from being stopped', async () => {
  const world = await startWorld()
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype: SMALL, template }))
  await world.boot('web')
  await patchSpec(world, { runStrategy: 'Halted', instancetype: { name: 'none' } })
  await world.vmiUntil('web', ({ metadata }) => metadata.deletionTimestamp !== undefined)
  const vm = await world.vmUntil('web', (vm) => failure(vm) !== undefined)
  expect(failure(vm)?.message).toMatch(/"none"/)
})

test('what admission left to be inferred is inferred once, and noted', async () => {
  const world = await startWorld()
  await createSmall(world)
  const labels = {
    'instancetype.kubevirt.io/default-instancetype': 'small',
    'instancetype.kubevirt.io/default-instancetype-kind': KIND,
  }
  await world.store.create(PVCS, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name: 'disk', labels },
    status: { phase: 'Bound' },
  })
  const spec = {
    domain: { devices: {} },
    volumes: [{ name: 'root', persistentVolumeClaim: { claimName: 'disk' } }],
  }
  const instancetype = { inferFromVolume: 'root' }
  await world.store.create(VMS, buildVm('web', 'Halted', { instancetype, template: { spec } }))
  const vm = await world.vmUntil('web', ({ status }) => status?.instancetypeRef !== undefined)
  expect(vm.status?.instancetypeRef).toMatchObject({ ...SMALL, inferFromVolume: 'root' })
  await world.store.delete(PVCS, 'default', 'disk')
  await patchSpec(world, { runStrategy: 'Always' })
  const vmi = await turnUntil(async () => world.store.get(VMIS, 'default', 'web'))
  expect(vmi.spec.domain.cpu).toMatchObject({ sockets: 2 })
})

/** The KubeVirt object, with this policy for instance types. */
async function setPolicy(world: World, referencePolicy: string): Promise<void> {
  const spec = { configuration: { instancetype: { referencePolicy } } }
  const body = { spec }
  if (await world.store.get(KUBEVIRTS, 'default', 'kubevirt'))
    await world.store.patch(KUBEVIRTS, 'default', 'kubevirt', { type: 'merge', body })
  else
    await world.store.create(KUBEVIRTS, {
      apiVersion: 'kubevirt.io/v1',
      kind: 'KubeVirt',
      metadata: { namespace: 'default', name: 'kubevirt' },
      spec,
    })
}
const isExpanded = ({ spec, status }: Vm) =>
  !spec.instancetype && !spec.preference && !status?.instancetypeRef && !status?.preferenceRef
const revisionsOf = async (world: World) =>
  (await world.store.list(CONTROLLER_REVISIONS, { namespace: 'default' })).items.filter(({ metadata }) =>
    metadata.name.startsWith('web-'),
  )

test.each(['expand', 'expandAll'])(
  'with %s a new VM gets what it refers to, and keeps nothing',
  async (policy) => {
    const world = await startWorld()
    await setPolicy(world, policy)
    await createSmall(world)
    await createLinux(world)
    const spec = { instancetype: SMALL, preference: { name: 'linux' }, template }
    await world.store.create(VMS, buildVm('web', 'Halted', spec))
    const vm = await world.vmUntil('web', isExpanded)
    expect(vm.spec.template.spec.domain).toMatchObject({
      cpu: { sockets: 1, cores: 2, threads: 1 },
      memory: { guest: '256Mi' },
      devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] },
    })
    expect(await revisionsOf(world)).toEqual([])
    await world.store.delete(INSTANCETYPES, 'default', 'small')
    await patchSpec(world, { runStrategy: 'Always' })
    const vmi = await world.boot('web')
    expect(vmi.spec.domain.memory).toMatchObject({ guest: '256Mi' })
  },
)

test.each([
  ['expand', true],
  ['expandAll', false],
])('with %s a VM of which a revision is kept refers to it still: %s', async (policy, refers) => {
  const world = await startWorld()
  await setPolicy(world, 'reference')
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Halted', { instancetype: SMALL, template }))
  await world.vmUntil('web', ({ status }) => status?.instancetypeRef !== undefined)
  expect(await revisionsOf(world)).toHaveLength(1)
  await setPolicy(world, policy)
  await world.restart()
  await patchSpec(world, { template: { metadata: { labels: { a: 'b' } } } })
  const vm = await world.vmUntil('web', (vm) => isExpanded(vm) !== refers)
  expect(vm.spec.instancetype === undefined).toBe(!refers)
  await patchSpec(world, { runStrategy: 'Always' })
  expect((await world.boot('web')).spec.domain.memory).toMatchObject({ guest: '256Mi' })
  expect(isExpanded((await world.vm('web'))!)).toBe(!refers)
})

test('with expand a revision that the VM names stays named', async () => {
  const world = await startWorld()
  await setPolicy(world, 'expand')
  await world.store.create(CONTROLLER_REVISIONS, {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { namespace: 'default', name: 'mine' },
    data: {
      apiVersion: 'instancetype.kubevirt.io/v1beta1',
      kind: KIND,
      spec: { cpu: { guest: 3 }, memory: { guest: '1Gi' } },
    },
    revision: 0,
  })
  const instancetype = { ...SMALL, revisionName: 'mine' }
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype, template }))
  expect((await world.boot('web')).spec.domain.cpu).toMatchObject({ sockets: 3 })
  expect((await world.vm('web'))?.spec.instancetype).toEqual(instancetype)
})

test('with expandAll a guest that runs goes on, and its VM is written out before the next one', async () => {
  const world = await startWorld()
  await createSmall(world)
  await world.store.create(VMS, buildVm('web', 'Always', { instancetype: SMALL, template }))
  const { metadata } = await world.boot('web')
  await setPolicy(world, 'expandAll')
  await patchSpec(world, { template: { metadata: { labels: { a: 'b' } } } })
  await world.restart()
  expect((await world.vm('web'))?.spec.instancetype).toEqual(SMALL)
  expect((await world.vmi('web'))?.metadata.uid).toBe(metadata.uid)
  await patchSpec(world, { runStrategy: 'Halted' })
  world.node.finish(metadata.uid, 'Succeeded')
  await world.vmUntil('web', isExpanded)
})

test('with expand what is missing is told, and written out once it is there', async () => {
  const world = await startWorld()
  await setPolicy(world, 'expand')
  await world.store.create(VMS, buildVm('web', 'Halted', { instancetype: SMALL, template }))
  const vm = await world.vmUntil('web', (vm) => failure(vm) !== undefined)
  expect(failure(vm)?.message).toMatch(/"small"/)
  await createSmall(world)
  world.clock.advance(5_000)
  await world.vmUntil('web', isExpanded)
})
