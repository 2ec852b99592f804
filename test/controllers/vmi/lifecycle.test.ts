import { expect, test } from 'vitest'
import { invalid } from '../../../src/lib/errors.ts'
import { VMI_FINALIZER } from '../../../src/kinds/kubevirt.ts'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { CONFIGMAPS, NODES, PVCS, SECRETS, VMIS } from '../../../src/kinds/table.ts'
import { buildVmi, startWorld } from '../../helpers/controllers.ts'
import type { World } from '../../helpers/controllers.ts'
import { turn, turnUntil } from '../../helpers/fake-clock.ts'
import { createFakeNode } from '../../helpers/fake-node.ts'

function ready(vmi: Vmi) {
  return findCondition(vmi.status?.conditions, 'Ready')
}

async function patch(world: World, body: Record<string, unknown>): Promise<void> {
  await world.store.patch(VMIS, 'default', 'web', { type: 'merge', body })
}

test('Ready follows the guest: not started, running, paused, being deleted', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const scheduled = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  expect(ready(scheduled)).toMatchObject({ status: 'False', reason: 'GuestNotRunning' })
  const { uid } = scheduled.metadata
  expect(ready(await world.boot('web'))).toMatchObject({ status: 'True' })
  world.node.tell(uid, { conditions: [{ type: 'Paused', status: 'True', reason: 'PausedByUser' }] })
  await world.vmiUntil('web', (vmi) => ready(vmi)?.reason === 'ReadinessGatesNotReady')
  await world.store.delete(VMIS, 'default', 'web')
  await world.vmiUntil('web', (vmi) => ready(vmi)?.reason === 'PodTerminating')
})

test('what the node is busy with shows while the guest is prepared', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const { metadata } = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  world.node.tell(metadata.uid, { message: 'pulling the image: 40 %' })
  const busy = await world.vmiUntil('web', (vmi) => ready(vmi)?.message !== 'the guest does not run yet')
  expect(ready(busy)).toMatchObject({ reason: 'GuestNotRunning', message: 'pulling the image: 40 %' })
})

test('a shorter grace period while the guest shuts down is passed on, the same one is not repeated', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web', { terminationGracePeriodSeconds: 60 }))
  const { metadata } = await world.boot('web')
  await world.store.delete(VMIS, 'default', 'web')
  await turnUntil(() => world.node.removes.length === 1)
  await patch(world, { metadata: { labels: { any: 'thing' } } })
  await turn()
  await patch(world, { spec: { terminationGracePeriodSeconds: 0 } })
  await turnUntil(() => world.node.removes.length === 2)
  expect(world.node.removes.map(({ options }) => options.graceSeconds)).toEqual([60, 0])
  world.node.finish(metadata.uid, 'Failed')
  await world.vmiGone('web')
})

test('a node that does not answer a removal in time is asked again', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web', { terminationGracePeriodSeconds: 10 }))
  await world.boot('web')
  await world.store.delete(VMIS, 'default', 'web')
  await turnUntil(() => world.node.removes.length === 1)
  await turn()
  world.clock.advance(39_000)
  await turn()
  expect(world.node.removes).toHaveLength(1)
  world.clock.advance(1_000)
  await turnUntil(() => world.node.removes.length === 2)
})

test('a guest that ended is removed from its node, and its VMI stays without finalizer', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const { metadata } = await world.boot('web')
  world.node.tell(metadata.uid, { phase: 'Succeeded' })
  await turnUntil(() => world.node.removes.length === 1)
  expect((await world.vmi('web'))?.metadata.finalizers).toContain(VMI_FINALIZER)
  world.node.finish(metadata.uid)
  const ended = await world.vmiUntil('web', (vmi) => !vmi.metadata.finalizers?.includes(VMI_FINALIZER))
  expect(ended.status).toMatchObject({ phase: 'Succeeded', nodeName: 'node-a' })
  expect(ended.status?.activePods).toBeUndefined()
  expect(ready(ended)?.reason).toBe('PodNotExists')
  await turn()
  expect(world.node.syncs).toHaveLength(1)
})

test('a VMI deleted before a node had it goes at once', async () => {
  const world = await startWorld({ nodes: {} })
  await world.store.create(VMIS, buildVmi('web'))
  await world.vmiUntil('web', (vmi) => findCondition(vmi.status?.conditions, 'PodScheduled') !== undefined)
  await world.store.delete(VMIS, 'default', 'web')
  await world.vmiGone('web')
  expect(world.node.removes).toEqual([])
})

test('a VMI that no node takes says why, and is placed once one can', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web', { nodeSelector: { disk: 'ssd' } }))
  const waiting = await world.vmiUntil(
    'web',
    (vmi) => findCondition(vmi.status?.conditions, 'PodScheduled')?.message?.includes('1 node') ?? false,
  )
  expect(findCondition(waiting.status?.conditions, 'PodScheduled')).toMatchObject({
    status: 'False',
    reason: 'Unschedulable',
    message: "0/1 nodes are available: 1 node(s) didn't match VMI's node affinity/selector.",
  })
  expect(waiting.status?.phase).toBe('Pending')
  await turnUntil(async () => (await world.reasons('web')).includes('FailedScheduling'))
  await world.store.patch(NODES, '', 'node-a', {
    type: 'merge',
    body: { metadata: { labels: { disk: 'ssd' } } },
  })
  const placed = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  expect(findCondition(placed.status?.conditions, 'PodScheduled')).toBeUndefined()
})

test('guests placed at the same time are spread over the nodes', async () => {
  const [a, b] = [createFakeNode('node-a'), createFakeNode('node-b')]
  const world = await startWorld({ nodes: { 'node-a': a, 'node-b': b } })
  await turnUntil(
    async () =>
      (await world.store.list(NODES)).items.every(({ status }) => status?.allocatable) &&
      (await world.store.list(NODES)).items.length === 2,
  )
  const names = ['one', 'two', 'three', 'four']
  await Promise.all(names.map((name) => world.store.create(VMIS, buildVmi(name))))
  for (const name of names) await world.vmiUntil(name, ({ status }) => status?.phase === 'Scheduled')
  expect([a.guests.size, b.guests.size]).toEqual([2, 2])
})

test('the node gets the contents of what the spec names, and the VMI waits for what is missing', async () => {
  const world = await startWorld()
  const volumes = [
    { name: 'seed', cloudInitNoCloud: { secretRef: { name: 'user-data' } } },
    { name: 'settings', configMap: { name: 'settings' } },
  ]
  await world.store.create(VMIS, buildVmi('web', { volumes }))
  const waiting = await world.vmiUntil(
    'web',
    (vmi) => findCondition(vmi.status?.conditions, 'Synchronized') !== undefined,
  )
  expect(findCondition(waiting.status?.conditions, 'Synchronized')).toMatchObject({
    status: 'False',
    reason: 'FailedCreate',
    message: expect.stringContaining('Secret user-data, ConfigMap settings not found'),
  })
  expect(world.node.syncs).toEqual([])
  const metadata = { namespace: 'default', name: 'user-data' }
  await world.store.create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { userdata: 'aGk=' },
  })
  const meta2 = { namespace: 'default', name: 'settings' }
  await world.store.create(CONFIGMAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: meta2,
    data: { a: 'b' },
  })
  const vmi = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  expect(findCondition(vmi.status?.conditions, 'Synchronized')).toBeUndefined()
  expect(world.node.syncs[0]).toMatchObject({
    secrets: { 'user-data': { userdata: 'aGk=' } },
    configMaps: { settings: { a: 'Yg==' } },
  })
})

test('a claim that does not exist is named, and the VMI goes on once it does', async () => {
  const world = await startWorld()
  const volumes = [{ name: 'root', persistentVolumeClaim: { claimName: 'root' } }]
  await world.store.create(VMIS, buildVmi('web', { volumes }))
  await world.vmiUntil(
    'web',
    (vmi) => findCondition(vmi.status?.conditions, 'Synchronized')?.reason === 'FailedPvcNotFound',
  )
  const metadata = { namespace: 'default', name: 'root' }
  await world.store.create(PVCS, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: {} })
  const placed = await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')
  expect(findCondition(placed.status?.conditions, 'Synchronized')).toBeUndefined()
})

test('a spec the node refuses ends the VMI with the reason', async () => {
  const world = await startWorld()
  const cause = { reason: 'FieldValueInvalid', message: 'no such bus', field: 'spec.domain.devices.disks[0]' }
  world.node.refuseSync = invalid({ group: '', kind: 'guest' }, 'web', [cause])
  await world.store.create(VMIS, buildVmi('web'))
  const failed = await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  expect(findCondition(failed.status?.conditions, 'Synchronized')).toMatchObject({
    status: 'False',
    reason: 'InvalidConfiguration',
    message: expect.stringContaining('no such bus'),
  })
  await world.vmiUntil('web', (vmi) => !vmi.metadata.finalizers?.includes(VMI_FINALIZER))
})

test('a node that fails is asked again, and no other node is', async () => {
  const [a, b] = [createFakeNode('node-a'), createFakeNode('node-b')]
  const world = await startWorld({ nodes: { 'node-a': a } })
  a.refuseSync = new Error('connection reset')
  await world.store.create(VMIS, buildVmi('web'))
  await turnUntil(() => a.syncs.length > 0)
  world.nodes.set('node-b', b)
  await turn(200)
  world.clock.advance(1_000)
  await turn(200)
  a.refuseSync = undefined
  world.clock.advance(10_000)
  await world.vmiUntil('web', ({ status }) => status?.nodeName === 'node-a')
  expect(b.syncs).toEqual([])
})

test('a guest that its node does not have any more ends Failed', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  await world.boot('web')
  world.node.guests.clear()
  world.node.disconnect()
  await turn()
  world.clock.advance(1_000)
  const failed = await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  expect(failed.status?.reason).toBe('GuestLost')
})

test('a guest missing from a snapshot only is not given up while its node knows it', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const { metadata } = await world.boot('web')
  const report = world.node.guests.get(metadata.uid)
  if (!report) throw new Error('the node lost its guest')
  world.node.report = async () => report
  world.node.guests.clear()
  world.node.disconnect()
  await turn()
  world.clock.advance(1_000)
  await turn(200)
  expect((await world.vmi('web'))?.status?.phase).toBe('Running')
})

test('the guests of a node that went away are Unknown and not ready, and run again when it returns', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  await world.boot('web')
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(39_000)
  await turn()
  expect(ready((await world.vmi('web')) as Vmi)?.status).toBe('True')
  world.clock.advance(2_000)
  const away = await world.vmiUntil('web', (vmi) => ready(vmi)?.reason === 'NodeNotReady')
  expect(away.status?.phase).toBe('Unknown')
  world.nodes.set('node-a', world.node)
  const back = await world.vmiUntil('web', (vmi) => ready(vmi)?.status === 'True')
  expect(back.status?.phase).toBe('Running')
  expect(back.status?.phaseTransitionTimestamps?.map(({ phase }) => phase).slice(-3)).toEqual([
    'Running',
    'Unknown',
    'Running',
  ])
})

test('deleting the Node object of a worker that is gone ends its guests', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  await world.boot('web')
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(60_000)
  await turn()
  expect((await world.vmi('web'))?.status?.phase).toBe('Unknown')
  await world.store.delete(NODES, '', 'node-a')
  const failed = await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  expect(failed.status?.reason).toBe('NodeGone')
})

test('a guest whose VMI does not exist is removed from its node', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const { metadata } = await world.boot('web')
  await world.store.delete(VMIS, 'default', 'web')
  await turnUntil(() => world.node.removes.length === 1)
  await patch(world, { metadata: { finalizers: null } })
  await world.vmiGone('web')
  // Controllers that know nothing of it find it on the node.
  await turnUntil(() => world.node.removes.length === 2)
  await world.restart()
  await turnUntil(() => world.node.removes.length === 3)
  expect(world.node.removes.at(-1)?.guest.uid).toBe(metadata.uid)
})

test('each of the node’s events is recorded once, also when the controllers start again', async () => {
  const world = await startWorld()
  await world.store.create(VMIS, buildVmi('web'))
  const { metadata } = await world.boot('web')
  const at = (time: string, id: string) => ({ id, type: 'Normal' as const, reason: id, message: id, time })
  const started = at('2026-01-01T00:00:00Z', 'Started')
  world.node.tell(metadata.uid, { events: [started] })
  world.node.tell(metadata.uid, { events: [started, at('2026-01-01T00:00:00Z', 'Paused')] })
  await turnUntil(async () => (await world.reasons('web')).includes('Paused'))
  world.clock.advance(5_000)
  await world.restart()
  await turn(100)
  world.node.tell(metadata.uid, { events: [started, at('2026-01-01T00:00:07Z', 'Resumed')] })
  await turnUntil(async () => (await world.reasons('web')).includes('Resumed'))
  const seen = (await world.reasons('web')).filter(
    (reason) => !['Scheduled', 'FailedScheduling'].includes(reason),
  )
  expect(seen.sort()).toEqual(['Paused', 'Resumed', 'Started'])
})

test('guests that are placed at the same time never get more of a node than it has', async () => {
  const world = await startWorld()
  // 4 GiB: three of these with what QEMU takes, not four.
  const spec = { domain: { devices: {}, memory: { guest: '1Gi' } } }
  const names = Array.from({ length: 8 }, (_one, at) => `vm${at}`)
  await Promise.all(names.map((name) => world.store.create(VMIS, buildVmi(name, spec))))
  const all = async () => Promise.all(names.map((name) => world.vmi(name)))
  const refused = (vmi: Vmi | undefined) =>
    findCondition(vmi?.status?.conditions, 'PodScheduled')?.message ===
    '0/1 nodes are available: 1 Insufficient memory.'
  // Passes that lost a race are done anew a little later.
  for (let i = 0; i < 50 && (await all()).filter(refused).length < 5; i++) {
    await turn()
    world.clock.advance(1000)
  }
  expect((await all()).filter(refused)).toHaveLength(5)
  expect((await all()).filter((vmi) => vmi?.status?.activePods)).toHaveLength(3)
})
