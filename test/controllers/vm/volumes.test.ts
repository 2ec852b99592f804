import { expect, test } from 'vitest'
import type { VolumeRequest } from '../../../src/controllers/vm/live-volumes.ts'
import type { Draft } from '../../../src/kinds/meta.ts'
import type { PersistentVolumeClaim } from '../../../src/kinds/core.ts'
import type { Vm, Vmi } from '../../../src/kinds/kubevirt.ts'
import { KUBEVIRTS, PVCS, VMIS, VMS } from '../../../src/kinds/table.ts'
import { buildVm, startWorld, type World } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

const VOLUME = { name: 'data', persistentVolumeClaim: { claimName: 'data', hotpluggable: true } }
const DISK = { name: 'data', disk: { bus: 'scsi' } }

function claim(name: string): Draft<PersistentVolumeClaim> {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  }
}

/** A world with a VM that runs, and the feature gate HotplugVolumes where `gates` has it. */
async function running(...gates: string[]): Promise<{ world: World; vmi: Vmi }> {
  const world = await startWorld()
  await world.store.create(KUBEVIRTS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { namespace: 'default', name: 'kubevirt' },
    spec: { configuration: { developerConfiguration: { featureGates: gates } } },
  })
  await world.store.create(PVCS, claim('data'))
  await world.store.create(PVCS, claim('dump'))
  await world.store.create(VMS, buildVm('vm', 'Always'))
  return { world, vmi: await world.boot('vm') }
}

async function changeVm(world: World, change: (vm: Vm) => Vm, subresource?: 'status'): Promise<void> {
  await turnUntil(async () => {
    const vm = await world.vm('vm')
    if (!vm) return false
    return world.store.update(VMS, change(structuredClone(vm)), subresource && { subresource }).then(
      () => true,
      () => false,
    )
  })
}

const withData = (vm: Vm): Vm => {
  const { spec } = vm.spec.template
  spec.volumes = [VOLUME]
  spec.domain.devices.disks = [DISK]
  return vm
}
const restartRequired = ({ status }: Vm) =>
  status?.conditions?.some(({ type }) => type === 'RestartRequired') ?? false

test('a volume that comes into the template comes into the running guest, and its node is told', async () => {
  const { world } = await running()
  await changeVm(world, withData)
  const vmi = await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 1)
  expect([vmi.spec.volumes, vmi.spec.domain.devices.disks]).toEqual([[VOLUME], [DISK]])
  const told = await turnUntil(async () =>
    world.node.syncs.findLast(({ vmi: { spec } }) => spec.volumes?.length === 1),
  )
  expect(told.claims).toEqual({
    data: {
      isBound: false,
      volumeMode: 'Filesystem',
      accessModes: ['ReadWriteOnce'],
      requestedBytes: 2 ** 30,
    },
  })
  const vm = await world.vmUntil(
    'vm',
    ({ status, metadata }) => status?.observedGeneration === metadata.generation,
  )
  expect(restartRequired(vm)).toBe(false)
})

test('what becomes of a claim is told to the node of the guest that has it', async () => {
  const { world } = await running()
  await changeVm(world, withData)
  await turnUntil(async () => world.node.syncs.some(({ claims }) => claims))
  const found = await world.store.get(PVCS, 'default', 'data')
  if (!found) throw new Error('the claim is gone')
  const status = { phase: 'Bound', capacity: { storage: '2Gi' } }
  await world.store.update(PVCS, { ...found, status }, { subresource: 'status' })
  const told = await turnUntil(async () =>
    world.node.syncs.findLast(({ claims }) => claims?.['data']?.isBound),
  )
  expect(told.claims?.['data']).toMatchObject({ capacityBytes: 2 ** 31 })
})

test('a volume that leaves the template leaves the guest', async () => {
  const { world } = await running()
  await changeVm(world, withData)
  await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 1)
  await changeVm(world, (vm) => {
    vm.spec.template.spec.volumes = []
    vm.spec.template.spec.domain.devices.disks = []
    return vm
  })
  const vmi = await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 0)
  expect(vmi.spec.domain.devices.disks).toEqual([])
})

test('nothing comes to a guest that is being moved', async () => {
  const { world, vmi } = await running()
  const moving = { ...vmi.status?.migrationState, startTimestamp: '2026-01-01T00:00:00Z' }
  await turnUntil(async () => {
    const now = await world.vmi('vm')
    if (!now) return false
    const next = { ...now, status: { ...now.status, migrationState: moving } }
    return world.store.update(VMIS, next).then(
      () => true,
      () => false,
    )
  })
  await changeVm(world, withData)
  await world.vmUntil('vm', ({ status, metadata }) => status?.observedGeneration === metadata.generation)
  expect((await world.vmi('vm'))?.spec.volumes).toBeUndefined()
})

test('a request is carried out in the template and in the guest, then forgotten', async () => {
  const { world } = await running('HotplugVolumes')
  const volumeSource = { persistentVolumeClaim: { claimName: 'data' } }
  const ask = (volumeRequests: VolumeRequest[]) => (vm: Vm) => ({
    ...vm,
    status: { ...vm.status, volumeRequests },
  })
  await changeVm(world, ask([{ addVolumeOptions: { name: 'data', disk: DISK, volumeSource } }]), 'status')
  const vm = await world.vmUntil(
    'vm',
    ({ status, spec }) => !status?.volumeRequests && Boolean(spec.template.spec.volumes),
  )
  expect(vm.spec.template.spec.volumes).toEqual([VOLUME])
  const vmi = await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 1)
  expect(vmi.spec.domain.devices.disks).toEqual([DISK])

  await changeVm(world, ask([{ removeVolumeOptions: { name: 'data' } }]), 'status')
  await world.vmUntil(
    'vm',
    ({ status, spec }) => !status?.volumeRequests && spec.template.spec.volumes?.length === 0,
  )
  await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 0)
})

test('a memory dump goes from request to file, and the claim says which', async () => {
  const { world, vmi } = await running()
  const { uid } = vmi.metadata
  const ask = (memoryDumpRequest: object) => (vm: Vm) =>
    ({ ...vm, status: { ...vm.status, memoryDumpRequest } }) as Vm
  await changeVm(world, ask({ claimName: 'dump', phase: 'Associating' }), 'status')
  await world.vmUntil('vm', ({ status }) => status?.memoryDumpRequest?.phase === 'InProgress')
  const dumping = await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 1)
  expect(dumping.spec.volumes).toEqual([
    { name: 'dump', memoryDump: { claimName: 'dump', hotpluggable: true } },
  ])

  const memoryDumpVolume = {
    claimName: 'dump',
    targetFileName: 'vm-dump-1.memory.dump',
    startTimestamp: '2026-01-01T00:00:00Z',
    endTimestamp: '2026-01-01T00:00:09Z',
  }
  const entry = {
    name: 'dump',
    target: '',
    hotplugVolume: {},
    phase: 'MemoryDumpCompleted',
    memoryDumpVolume,
  }
  world.node.tell(uid, { phase: 'Running', status: { volumeStatus: [entry] } })
  await world.vmUntil('vm', ({ status }) => status?.memoryDumpRequest?.phase === 'Unmounting')
  await world.vmiUntil('vm', ({ spec }) => spec.volumes?.length === 0)
  world.node.tell(uid, { status: { volumeStatus: [] } })
  const done = await world.vmUntil('vm', ({ status }) => status?.memoryDumpRequest?.phase === 'Completed')
  expect(done.status?.memoryDumpRequest).toEqual({
    claimName: 'dump',
    phase: 'Completed',
    fileName: 'vm-dump-1.memory.dump',
    startTimestamp: '2026-01-01T00:00:00Z',
    endTimestamp: '2026-01-01T00:00:09Z',
  })
  expect(restartRequired(done)).toBe(false)
  const held = await world.store.get(PVCS, 'default', 'dump')
  expect(held?.metadata.annotations).toMatchObject({ 'kubevirt.io/memory-dump': 'vm-dump-1.memory.dump' })

  await changeVm(world, ask({ claimName: 'dump', phase: 'Dissociating', remove: true }), 'status')
  const clean = await world.vmUntil('vm', ({ status }) => !status?.memoryDumpRequest)
  expect(clean.spec.template.spec.volumes).toEqual([])
})

test('the volume of a dump that is done is no part of the next guest', async () => {
  const { world, vmi } = await running()
  await changeVm(world, (vm) => {
    vm.spec.template.spec.volumes = [{ name: 'dump', memoryDump: { claimName: 'dump', hotpluggable: true } }]
    return vm
  })
  world.node.finish(vmi.metadata.uid, 'Succeeded')
  const next = await world.boot('vm', vmi.metadata.uid)
  expect(next.spec.volumes).toEqual([])
})
