import { expect, test } from 'vitest'
import type { StateChangeRequest, Vm } from '../../../src/kinds/kubevirt.ts'
import { VM_FINALIZER } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { CONTROLLER_REVISIONS, findKind, PVCS, VMIS, VMS } from '../../../src/kinds/table.ts'
import { buildVm, buildVmi, startWorld } from '../../helpers/controllers.ts'
import type { World } from '../../helpers/controllers.ts'
import { turn, turnUntil } from '../../helpers/fake-clock.ts'

async function request(
  world: World,
  name: string,
  ...stateChangeRequests: StateChangeRequest[]
): Promise<void> {
  const body = { status: { stateChangeRequests } }
  await world.store.patch(VMS, 'default', name, { type: 'merge', body }, { subresource: 'status' })
}

function shows(printableStatus: string) {
  return (vm: Vm): boolean => vm.status?.printableStatus === printableStatus
}

test('an Always VM is started, and its guest is run by the node', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const vmi = await world.boot('web')
  expect(vmi.status).toMatchObject({ nodeName: 'node-a', migrationTransport: 'Unix' })
  const passed = vmi.status?.phaseTransitionTimestamps?.map(({ phase }) => phase)
  expect(passed).toEqual(['Pending', 'Scheduling', 'Scheduled', 'Running'])
  expect(vmi.metadata.labels).toMatchObject({ 'kubevirt.io/nodeName': 'node-a' })
  const vm = await world.vmUntil('web', shows('Running'))
  expect(vm.metadata.finalizers).toContain(VM_FINALIZER)
  expect(vm.status).toMatchObject({ created: true, ready: true, runStrategy: 'Always' })
  expect(world.node.syncs).toHaveLength(1)
  await turnUntil(async () => (await world.reasons('web')).length >= 2)
  expect(await world.reasons('web')).toEqual(expect.arrayContaining(['SuccessfulCreate', 'Scheduled']))
})

test('the spec a VM was started with is kept in a ControllerRevision', async () => {
  const world = await startWorld()
  const { metadata, spec } = await world.store.create(VMS, buildVm('web', 'Always'))
  const vmi = await world.boot('web')
  const name = `revision-start-vm-${metadata.uid}-1`
  expect(vmi.status?.virtualMachineRevisionName).toBe(name)
  const revision = await world.store.get(CONTROLLER_REVISIONS, 'default', name)
  expect(revision?.data).toEqual({ spec })
})

test('a Halted VM has no VMI and reads Stopped', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Halted'))
  const vm = await world.vmUntil('web', shows('Stopped'))
  expect(vm.status).toMatchObject({ created: false, ready: false })
  expect(findCondition(vm.status?.conditions, 'Ready')).toMatchObject({
    status: 'False',
    reason: 'VMINotExists',
  })
  expect(await world.vmi('web')).toBeUndefined()
})

test('halting a running VM shuts its guest down and takes the VMI away', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const { metadata } = await world.boot('web')
  const body = { spec: { runStrategy: 'Halted' } }
  await world.store.patch(VMS, 'default', 'web', { type: 'merge', body })
  await world.vmUntil('web', shows('Stopping'))
  await turnUntil(() => world.node.removes.length > 0)
  expect(world.node.removes[0]).toMatchObject({ guest: { uid: metadata.uid }, options: { graceSeconds: 30 } })
  world.node.finish(metadata.uid, 'Succeeded')
  await world.vmiGone('web')
  await world.vmUntil('web', shows('Stopped'))
  await turn()
  expect(await world.vmi('web')).toBeUndefined()
})

test('a guest of an Always VM that shut down by itself is started again', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const first = await world.boot('web')
  world.node.tell(first.metadata.uid, { phase: 'Succeeded' })
  await turnUntil(() => world.node.removes.length > 0)
  expect(world.node.removes.at(-1)?.options).toEqual({ graceSeconds: 0 })
  world.node.finish(first.metadata.uid)
  const second = await world.boot('web', first.metadata.uid)
  expect(second.metadata.uid).not.toBe(first.metadata.uid)
  expect((await world.vmUntil('web', shows('Running'))).status?.startFailure).toBeUndefined()
})

test('restart by requests stops the guest, starts another and leaves no request behind', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const first = await world.boot('web')
  await request(world, 'web', { action: 'Stop', uid: first.metadata.uid }, { action: 'Start' })
  await turnUntil(() => world.node.removes.length > 0)
  world.node.finish(first.metadata.uid, 'Succeeded')
  const second = await world.boot('web', first.metadata.uid)
  const vm = await world.vmUntil('web', ({ status }) => status?.stateChangeRequests === undefined)
  expect(second.metadata.uid).not.toBe(first.metadata.uid)
  expect(vm.spec.runStrategy).toBe('Always')
})

test('a Manual VM starts on request, with halted CPUs where the request says so, and stays stopped afterwards', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Manual'))
  await world.vmUntil('web', shows('Stopped'))
  await request(world, 'web', { action: 'Start', data: { paused: 'true' } })
  const vmi = await world.boot('web')
  expect(vmi.spec.startStrategy).toBe('Paused')
  await world.vmUntil('web', ({ status }) => status?.stateChangeRequests === undefined)
  world.node.tell(vmi.metadata.uid, { phase: 'Succeeded' })
  await turnUntil(() => world.node.removes.length > 0)
  world.node.finish(vmi.metadata.uid)
  const vm = await world.vmUntil('web', shows('Stopped'))
  expect(vm.status?.created).toBe(true)
  expect((await world.vmi('web'))?.status?.phase).toBe('Succeeded')
})

test('a paused start of a Halted VM makes it Always and starts it paused', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Halted'))
  await world.vmUntil('web', shows('Stopped'))
  await request(world, 'web', { action: 'Start', data: { paused: 'true' } })
  const vmi = await world.boot('web')
  expect(vmi.spec.startStrategy).toBe('Paused')
  expect((await world.vm('web'))?.spec.runStrategy).toBe('Always')
})

test('a VM that uses `running` keeps using it when a request makes it Always', async () => {
  const world = await startWorld()
  const { runStrategy: _unused, ...spec } = buildVm('web', 'Halted').spec
  await world.store.create(VMS, { ...buildVm('web', 'Halted'), spec: { ...spec, running: false } })
  await world.vmUntil('web', shows('Stopped'))
  await request(world, 'web', { action: 'Start', data: { paused: 'true' } })
  const vm = await world.vmUntil('web', ({ spec: { running } }) => running === true)
  expect(vm.spec.runStrategy).toBeUndefined()
})

test('RerunOnFailure starts a new VM, starts again after a crash, and stays down after a shutdown', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'RerunOnFailure'))
  const first = await world.boot('web')
  world.node.tell(first.metadata.uid, { phase: 'Failed' })
  await turnUntil(() => world.node.removes.length > 0)
  world.node.finish(first.metadata.uid)
  const second = await world.boot('web', first.metadata.uid)
  await world.vmUntil('web', ({ status }) => status?.stateChangeRequests === undefined)
  world.node.tell(second.metadata.uid, { phase: 'Succeeded' })
  await turnUntil(() => world.node.removes.length > 1)
  world.node.finish(second.metadata.uid)
  await world.vmiGone('web')
  await world.vmUntil('web', shows('Stopped'))
  await turn()
  expect(await world.vmi('web')).toBeUndefined()
})

test('a Once VM is started once and its ended VMI is kept', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Once'))
  const vmi = await world.boot('web')
  world.node.tell(vmi.metadata.uid, { phase: 'Failed' })
  await turnUntil(() => world.node.removes.length > 0)
  world.node.finish(vmi.metadata.uid)
  await world.vmUntil('web', shows('Stopped'))
  await turn()
  expect((await world.vmi('web'))?.metadata.uid).toBe(vmi.metadata.uid)
})

test('WaitAsReceiver is refused with a condition and an Event', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'WaitAsReceiver'))
  const vm = await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'Failure') !== undefined,
  )
  expect(findCondition(vm.status?.conditions, 'Failure')).toMatchObject({
    status: 'True',
    reason: 'FailedCreate',
  })
  expect(vm.status?.printableStatus).toBe('Stopped')
  await turnUntil(async () => (await world.reasons('web')).includes('FailedCreate'))
})

test('a VM that sets both `running` and `runStrategy` is told so', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always', { running: true }))
  const vm = await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'Failure') !== undefined,
  )
  expect(findCondition(vm.status?.conditions, 'Failure')?.message).toMatch(/exclude each other/)
})

test('a guest that never runs is tried again after a delay that grows', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const first = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  world.node.finish(first.metadata.uid, 'Failed')
  await world.vmiGone('web')
  const vm = await world.vmUntil('web', shows('CrashLoopBackOff'))
  expect(vm.status?.startFailure).toEqual({
    consecutiveFailCount: 1,
    lastFailedVMIUID: first.metadata.uid,
    retryAfterTimestamp: '2026-01-01T00:00:10Z',
  })
  world.clock.advance(9_000)
  await turn()
  expect(await world.vmi('web')).toBeUndefined()
  world.clock.advance(1_000)
  const second = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  world.node.finish(second.metadata.uid, 'Failed')
  await world.vmUntil('web', ({ status }) => status?.startFailure?.consecutiveFailCount === 2)
  expect((await world.vm('web'))?.status?.startFailure?.retryAfterTimestamp).toBe('2026-01-01T00:00:50Z')
})

test('deleting a VM stops its guest first, then both objects go', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const { metadata } = await world.boot('web')
  await world.store.delete(VMS, 'default', 'web')
  await world.vmUntil('web', shows('Terminating'))
  await turnUntil(() => world.node.removes.length > 0)
  expect(await world.vm('web')).toBeDefined()
  world.node.finish(metadata.uid, 'Succeeded')
  await world.vmiGone('web')
  await turnUntil(async () => (await world.vm('web')) === undefined)
})

test('a VM deleted with orphan propagation leaves its guest running', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  await world.boot('web')
  await world.store.delete(VMS, 'default', 'web', { propagationPolicy: 'Orphan' })
  await world.vmUntil('web', ({ metadata }) => !metadata.finalizers?.includes(VM_FINALIZER))
  await turn()
  expect((await world.vmi('web'))?.metadata.deletionTimestamp).toBeUndefined()
  expect(world.node.removes).toEqual([])
})

test('a changed template asks for a restart and names the field, until it is changed back', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  await world.boot('web')
  const setMemory = (guest: string) => {
    const body = { spec: { template: { spec: { domain: { memory: { guest } } } } } }
    return world.store.patch(VMS, 'default', 'web', { type: 'merge', body })
  }
  await setMemory('256Mi')
  const asked = await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'RestartRequired') !== undefined,
  )
  expect(findCondition(asked.status?.conditions, 'RestartRequired')?.message).toContain(
    'spec.template.spec.domain.memory',
  )
  expect(asked.status).toMatchObject({ observedGeneration: 1, desiredGeneration: 2 })
  await setMemory('128Mi')
  await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'RestartRequired') === undefined,
  )
})

test('conditions of the VMI are copied while they hold and removed when they do not', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const { metadata } = await world.boot('web')
  const paused = { type: 'Paused', status: 'True', reason: 'PausedByUser', message: '' } as const
  world.node.tell(metadata.uid, { conditions: [paused] })
  const vm = await world.vmUntil('web', shows('Paused'))
  expect(findCondition(vm.status?.conditions, 'Paused')).toMatchObject({
    status: 'True',
    reason: 'PausedByUser',
  })
  expect(vm.status?.ready).toBe(false)
  world.node.tell(metadata.uid, { conditions: [] })
  const again = await world.vmUntil('web', shows('Running'))
  expect(findCondition(again.status?.conditions, 'Paused')).toBeUndefined()
})

test('a VMI of the same name that belongs to nobody is neither taken over nor deleted', async () => {
  const world = await startWorld()
  const stranger = await world.store.create(VMIS, buildVmi('web'))
  await world.boot('web')
  await world.store.create(VMS, buildVm('web', 'Halted'))
  await world.vmUntil('web', shows('Stopped'))
  await world.store.patch(VMS, 'default', 'web', { type: 'merge', body: { spec: { runStrategy: 'Always' } } })
  const vm = await world.vmUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'Failure') !== undefined,
  )
  expect(findCondition(vm.status?.conditions, 'Failure')?.message).toMatch(/does not belong to this VM/)
  expect((await world.vmi('web'))?.metadata.uid).toBe(stranger.metadata.uid)
})

test('a VM waits for the DataVolumes of its templates and says how far they are', async () => {
  const world = await startWorld()
  const dataVolumes = findKind('cdi.kubevirt.io/v1beta1', 'DataVolume')
  if (!dataVolumes) throw new Error('the table of kinds has no DataVolume')
  await world.store.create(
    VMS,
    buildVm('web', 'Always', { dataVolumeTemplates: [{ metadata: { name: 'root' }, spec: {} }] }),
  )
  await world.vmUntil('web', shows('Provisioning'))
  const setPhase = async (phase: string) => {
    const body = { status: { phase } }
    await world.store.patch(
      dataVolumes,
      'default',
      'root',
      { type: 'merge', body },
      { subresource: 'status' },
    )
    world.clock.advance(5_000)
  }
  await setPhase('Failed')
  await world.store.patch(VMS, 'default', 'web', {
    type: 'merge',
    body: { metadata: { labels: { a: 'b' } } },
  })
  await world.vmUntil('web', shows('DataVolumeError'))
  expect(await world.vmi('web')).toBeUndefined()
  await setPhase('Succeeded')
  await world.store.patch(VMS, 'default', 'web', {
    type: 'merge',
    body: { metadata: { labels: { a: 'c' } } },
  })
  await world.boot('web')
})

test('a VM whose claim is not bound yet reads WaitingForVolumeBinding', async () => {
  const world = await startWorld()
  await world.store.create(PVCS, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name: 'root' },
    spec: {},
  })
  await world.store.patch(
    PVCS,
    'default',
    'root',
    { type: 'merge', body: { status: { phase: 'Pending' } } },
    { subresource: 'status' },
  )
  const vm = buildVm('web', 'Always')
  vm.spec.template.spec.volumes = [{ name: 'root', persistentVolumeClaim: { claimName: 'root' } }]
  await world.store.create(VMS, vm)
  const waiting = await world.vmUntil('web', shows('WaitingForVolumeBinding'))
  expect(waiting.status?.ready).toBe(false)
})

test('controllers that are stopped and started again neither start a second guest nor stop the first', async () => {
  const world = await startWorld()
  await world.store.create(VMS, buildVm('web', 'Always'))
  const { metadata } = await world.boot('web')
  await world.restart()
  await turn(200)
  const vmi = await world.vmi('web')
  expect(vmi).toMatchObject({
    metadata: { uid: metadata.uid },
    status: { phase: 'Running', nodeName: 'node-a' },
  })
  expect(world.node.removes).toEqual([])
  expect(world.node.guests.size).toBe(1)
})
