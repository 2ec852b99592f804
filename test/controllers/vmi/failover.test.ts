import { expect, test } from 'vitest'
import type { RunStrategy, Vmi } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { NODES, VMIS, VMS } from '../../../src/kinds/table.ts'
import { buildVm, startWorld, type World } from '../../helpers/controllers.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { createFakeNode, type FakeNode } from '../../helpers/fake-node.ts'

const FAILOVER_SECONDS = 300

interface Pair {
  world: World
  /** The node that has the guest, and the other. */
  on: FakeNode
  off: FakeNode
  uid: string
  /** Nothing is heard of the guest's node any more. */
  lose: () => void
  pass: (seconds: number) => Promise<void>
}

/** Two nodes, and a VM that runs on one of them, which has promised to stop it after `promise` seconds. */
async function startPair(
  strategy: RunStrategy,
  promise: number | 'never' = 270,
  failoverSeconds = FAILOVER_SECONDS,
): Promise<Pair> {
  const nodes: Record<string, FakeNode> = {
    'node-a': createFakeNode('node-a'),
    'node-b': createFakeNode('node-b'),
  }
  const world = await startWorld({ nodes, config: { failoverAfterMs: failoverSeconds * 1000 } })
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i += 5) {
      await turn()
      world.clock.advance(5000)
    }
    await turn()
  }
  await pass(10)
  await world.store.create(VMS, buildVm('web', strategy))
  await pass(10)
  const [name, on] = Object.entries(nodes).find(([, { guests }]) => guests.size > 0) ?? []
  const off = Object.values(nodes).find((node) => node !== on)
  const [uid] = on?.guests.keys() ?? []
  if (name === undefined || !on || !off || uid === undefined) throw new Error('no node has the guest')
  world.nodes.heard.set(name, world.clock.now())
  on.tell(uid, { phase: 'Running', ...(promise !== 'never' && { failoverSeconds: promise }) })
  await pass(5)
  const lose = () => {
    world.nodes.heard.set(name, world.clock.now())
    world.nodes.set(name, undefined)
    on.disconnect()
  }
  return { world, on, off, uid, lose, pass }
}

const promiseOf = (vmi: Vmi | undefined) => findCondition(vmi?.status?.conditions, 'FailoverReady')

test('a VM that is to run is started elsewhere once its node has stopped it for certain, and not before', async () => {
  const { world, on, off, uid, lose, pass } = await startPair('Always')
  expect(on.syncs.at(-1)?.failover).toBe(true)
  expect(promiseOf(await world.vmi('web'))?.status).toBe('True')
  lose()
  await pass(60)
  expect((await world.vmi('web'))?.status?.phase).toBe('Unknown')
  await pass(FAILOVER_SECONDS - 70)
  expect(off.syncs).toEqual([])
  expect((await world.vmi('web'))?.metadata.uid).toBe(uid)
  await pass(60)
  const next = await world.vmi('web')
  expect(next?.metadata.uid).not.toBe(uid)
  expect(off.syncs.map(({ vmi }) => vmi.metadata.uid)).toContain(next?.metadata.uid)
  expect(await world.reasons('web')).toContain('NodeLost')
})

test('what a node has left of a guest that runs elsewhere by now is removed at once, and never goes on', async () => {
  const { world, on, uid, lose, pass } = await startPair('RerunOnFailure')
  lose()
  await pass(FAILOVER_SECONDS + 60)
  const before = on.syncs.length
  const report = on.guests.get(uid)
  if (!report) throw new Error('the node has forgotten the guest')
  on.guests.set(uid, { ...report, held: true })
  const name = (await on.info()).nodeName
  world.nodes.set(name, on)
  await pass(20)
  expect(on.removes.map(({ guest, options }) => [guest.uid, options.graceSeconds])).toContainEqual([uid, 0])
  expect(on.syncs.slice(before).map(({ vmi }) => vmi.metadata.uid)).not.toContain(uid)
})

test('a node that comes back in time keeps its guest, and is told that it may go on', async () => {
  const { world, on, off, uid, lose, pass } = await startPair('Always')
  lose()
  await pass(FAILOVER_SECONDS - 20)
  const report = on.guests.get(uid)
  if (!report) throw new Error('the node has forgotten the guest')
  on.guests.set(uid, { ...report, held: true })
  const name = (await on.info()).nodeName
  const before = on.syncs.length
  world.nodes.set(name, on)
  await pass(10)
  expect(on.syncs.slice(before).map(({ vmi }) => vmi.metadata.uid)).toContain(uid)
  await pass(60)
  expect([off.syncs, on.removes]).toEqual([[], []])
  expect((await world.vmi('web'))?.status?.phase).toBe('Running')
})

test.each<[string, number | 'never', string]>([
  ['has not promised to stop it', 'never', 'NodeNotFenced'],
  ['would stop it too late', 280, 'FencedTooLate'],
])('a guest is waited for where its node %s, and its condition says so', async (_case, promise, reason) => {
  const { world, off, uid, lose, pass } = await startPair('Always', promise)
  expect(promiseOf(await world.vmi('web'))).toMatchObject({ status: 'False', reason })
  lose()
  await pass(3 * FAILOVER_SECONDS)
  expect((await world.vmi('web'))?.metadata.uid).toBe(uid)
  expect(off.syncs).toEqual([])
})

test('a VM that people start themselves is only marked', async () => {
  const { world, on, off, uid, lose, pass } = await startPair('Once')
  expect(on.syncs.at(-1)?.failover).toBeUndefined()
  lose()
  await pass(3 * FAILOVER_SECONDS)
  expect(await world.vmi('web')).toMatchObject({ metadata: { uid }, status: { phase: 'Unknown' } })
  expect(off.syncs).toEqual([])
})

test('a VM that is made to run while its node is away is not started elsewhere: the node was not told in time', async () => {
  const { world, off, uid, lose, pass } = await startPair('Once')
  lose()
  await pass(60)
  const body = { spec: { runStrategy: 'Always' } }
  await world.store.patch(VMS, 'default', 'web', { type: 'merge', body })
  await pass(3 * FAILOVER_SECONDS)
  expect((await world.vmi('web'))?.metadata.uid).toBe(uid)
  expect(off.syncs).toEqual([])
})

test('where it is not wanted any more, that stands in the VMI before the node hears of it', async () => {
  const { world, on, pass } = await startPair('Always')
  const seen: unknown[] = []
  const sync = on.sync.bind(on)
  on.sync = async (request, signal) => {
    seen.push([request.failover, promiseOf(await world.vmi('web'))?.status])
    return sync(request, signal)
  }
  await world.store.patch(VMS, 'default', 'web', { type: 'merge', body: { spec: { runStrategy: 'Manual' } } })
  await pass(20)
  expect(seen.at(-1)).toEqual([undefined, undefined])
})

test('a leader that has just begun waits as long as any other', async () => {
  const { world, uid, lose, pass } = await startPair('Always')
  lose()
  await pass(FAILOVER_SECONDS - 30)
  await world.restart()
  await pass(FAILOVER_SECONDS - 30)
  expect((await world.vmi('web'))?.metadata.uid).toBe(uid)
  await pass(60)
  expect((await world.vmi('web'))?.metadata.uid).not.toBe(uid)
})

test('people who vouch for a node’s end need not wait', async () => {
  const { world, on, uid, lose, pass } = await startPair('Always', 280)
  lose()
  const name = (await on.info()).nodeName
  const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }]
  await world.store.patch(NODES, '', name, { type: 'merge', body: { spec: { taints } } })
  await pass(90)
  expect((await world.store.get(VMIS, 'default', 'web'))?.metadata.uid).not.toBe(uid)
})

test('a guest is started elsewhere also where that is sooner than its node counts as away', async () => {
  const { world, uid, lose, pass } = await startPair('Always', 5, 35)
  lose()
  await pass(60)
  expect((await world.vmi('web'))?.metadata.uid).not.toBe(uid)
})

test('a VM that is stopped while its node is away ends once the node has stopped its guest', async () => {
  const { world, off, lose, pass } = await startPair('Always')
  lose()
  await pass(100)
  await world.store.patch(VMS, 'default', 'web', { type: 'merge', body: { spec: { runStrategy: 'Halted' } } })
  await pass(100)
  expect((await world.vmi('web'))?.metadata.deletionTimestamp).toBeDefined()
  await pass(FAILOVER_SECONDS)
  expect(await world.vmi('web')).toBeUndefined()
  expect(off.syncs).toEqual([])
})
