import { expect, test } from 'vitest'
import { findCondition } from '../../../src/kinds/meta.ts'
import type { Node } from '../../../src/kinds/core.ts'
import { LEASES, NODES } from '../../../src/kinds/table.ts'
import { registerWorker } from '../../../src/roles/worker-registry.ts'
import { startWorld } from '../../helpers/controllers.ts'
import type { World } from '../../helpers/controllers.ts'
import { turn, turnUntil } from '../../helpers/fake-clock.ts'
import { createFakeNode } from '../../helpers/fake-node.ts'

function nodeUntil(world: World, holds: (node: Node) => boolean): Promise<Node> {
  return turnUntil(async () => {
    const node = await world.store.get(NODES, '', 'node-a')
    return node && holds(node) && node
  })
}

function isReady(status: 'True' | 'Unknown') {
  return (node: Node): boolean => findCondition(node.status?.conditions, 'Ready')?.status === status
}

test('a connected worker has a Node object that tells what it is and can do', async () => {
  const world = await startWorld()
  const node = await nodeUntil(world, isReady('True'))
  expect(node.metadata.labels).toMatchObject({
    'kubernetes.io/hostname': 'node-a',
    'kubernetes.io/arch': 'amd64',
    'kubevirt.io/schedulable': 'true',
    'machine-type.node.kubevirt.io/pc-q35-7.2': 'true',
    'cpu-model.node.kubevirt.io/Haswell': 'true',
  })
  expect(node.status?.allocatable).toEqual({ cpu: '2', memory: '4194304Ki', 'devices.kubevirt.io/kvm': '0' })
  expect(node.status?.nodeInfo).toMatchObject({ bootID: 'b00t', kubeletVersion: 'v0.1.0' })
  expect(findCondition(node.status?.conditions, 'Ready')?.message).toContain('no /dev/kvm')
})

test('its lease is renewed while it is connected, and only then', async () => {
  const world = await startWorld()
  const renewed = async () => (await world.store.get(LEASES, 'kube-node-lease', 'node-a'))?.spec?.renewTime
  const first = await turnUntil(renewed)
  await turn()
  world.clock.advance(10_000)
  const second = await turnUntil(async () => (await renewed()) !== first && renewed())
  expect(second).toBe('2026-01-01T00:00:10.000000Z')
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(60_000)
  await turn()
  expect(await renewed()).toBe(second)
})

test('a worker that is registered has its Lease renewed by who hears of it; one that is not gets none', async () => {
  const world = await startWorld({ config: { workerNamespace: 'default' } })
  await nodeUntil(world, isReady('True'))
  const renewed = async () =>
    (await world.store.get(LEASES, 'default', 'virtgate-worker-node-a'))?.spec?.renewTime
  expect(await renewed()).toBeUndefined()
  const worker = { namespace: 'default', name: 'node-a', host: '10.0.0.1', port: 8186 }
  await registerWorker(world.store, worker, world.clock)
  await turn()
  world.clock.advance(10_000)
  await turnUntil(async () => (await renewed()) === '2026-01-01T00:00:10.000000Z')
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(60_000)
  await turn()
  expect(await renewed()).toBe('2026-01-01T00:00:10.000000Z')
})

test('the node tells what runs on it and when it was heard of, once a minute', async () => {
  const world = await startWorld({ config: { ownsNodes: false } })
  await world.store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } })
  const heard = async () =>
    (await world.store.get(NODES, '', 'node-a'))?.metadata.annotations?.['kubevirt.io/heartbeat']
  await turn()
  world.clock.advance(10_000)
  expect(await turnUntil(heard)).toBe('2026-01-01T00:00:10Z')
  for (let i = 0; i < 5; i++) {
    world.clock.advance(10_000)
    await turn()
  }
  expect(await heard()).toBe('2026-01-01T00:00:10Z')
  world.clock.advance(10_000)
  await turnUntil(async () => (await heard()) === '2026-01-01T00:01:10Z')
  const node = await world.store.get(NODES, '', 'node-a')
  expect(node?.metadata.annotations).toMatchObject({
    'virtgate.io/version': '0.1.0',
    'virtgate.io/qemu-version': '7.2.22',
  })
  expect(node?.metadata.labels).toMatchObject({ 'cpu-feature.node.kubevirt.io/aes': 'true' })
})

test('a node whose worker is away is closed to guests until it returns, a kubelet’s node, too', async () => {
  const world = await startWorld({ config: { ownsNodes: false } })
  await world.store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } })
  await turn()
  world.clock.advance(10_000)
  const isOpen = (open: 'true' | 'false') => (node: Node) =>
    node.metadata.labels?.['kubevirt.io/schedulable'] === open
  await nodeUntil(world, isOpen('true'))
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(60_000)
  await nodeUntil(world, isOpen('false'))
  world.nodes.set('node-a', world.node)
  const back = await nodeUntil(world, isOpen('true'))
  expect(back.spec?.unschedulable).toBeUndefined()
})

test('a worker that stays away makes its node Unknown, and Ready again when it returns', async () => {
  const world = await startWorld()
  await nodeUntil(world, isReady('True'))
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.clock.advance(60_000)
  await nodeUntil(world, isReady('Unknown'))
  world.nodes.set('node-a', world.node)
  const back = await nodeUntil(world, isReady('True'))
  expect(findCondition(back.status?.conditions, 'Ready')?.reason).toBe('WorkerReady')
})

test('a capability that is gone loses its label; labels of others stay', async () => {
  const world = await startWorld()
  await nodeUntil(world, isReady('True'))
  await world.store.patch(NODES, '', 'node-a', {
    type: 'merge',
    body: { metadata: { labels: { disk: 'ssd' } } },
  })
  world.nodes.set('node-a', undefined)
  world.node.disconnect()
  await turn()
  world.nodes.set('node-a', createFakeNode('node-a', { machineTypes: ['pc-q35-10.0'] }))
  const node = await nodeUntil(
    world,
    ({ metadata }) => 'machine-type.node.kubevirt.io/pc-q35-10.0' in (metadata.labels ?? {}),
  )
  expect(node.metadata.labels).not.toHaveProperty(['machine-type.node.kubevirt.io/pc-q35-7.2'])
  expect(node.metadata.labels).toMatchObject({ disk: 'ssd' })
})

test('where nodes are a kubelet’s, only labels are written, and none is made', async () => {
  const world = await startWorld({ config: { ownsNodes: false } })
  await turn(100)
  expect(await world.store.get(NODES, '', 'node-a')).toBeUndefined()
  await world.store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } })
  await turn()
  world.clock.advance(10_000)
  const node = await nodeUntil(
    world,
    ({ metadata }) => metadata.labels?.['kubevirt.io/schedulable'] === 'true',
  )
  expect(node.metadata.labels).not.toHaveProperty(['kubernetes.io/hostname'])
  expect(node.status?.conditions).toBeUndefined()
  expect(await world.store.get(LEASES, 'kube-node-lease', 'node-a')).toBeUndefined()
})
