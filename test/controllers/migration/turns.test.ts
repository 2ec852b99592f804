import { expect, test } from 'vitest'
import { nextInLine, Turns } from '../../../src/controllers/migration/turns.ts'
import { KUBEVIRTS } from '../../../src/kinds/table.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { startMovingWorld } from '../../helpers/moving-guests.ts'

const LIMITS = { perCluster: 5, outboundPerNode: 2 }
const waiting = (uid: string, sourceNode = 'a', priority?: string, since = '2026-01-01T00:00:00Z') => ({
  uid,
  sourceNode,
  priority,
  since,
})

test.each([
  ['nobody waits', [], [], []],
  ['there is room', [waiting('u1')], [], ['u1']],
  [
    'a node may send two',
    [waiting('u1'), waiting('u2'), waiting('u3'), waiting('u4', 'b')],
    [],
    ['u1', 'u2', 'u4'],
  ],
  ['those under way count', [waiting('u1'), waiting('u2')], [{ uid: 'x', sourceNode: 'a' }], ['u1']],
  [
    'the cluster may move five',
    [waiting('u1', 'c'), waiting('u2', 'd')],
    ['w', 'x', 'y', 'z'].map((uid) => ({ uid, sourceNode: uid })),
    ['u1'],
  ],
  [
    'what is critical goes before what people asked for, and that before maintenance',
    [
      waiting('later', 'a', 'system-maintenance'),
      waiting('people', 'a'),
      waiting('critical', 'a', 'system-critical'),
    ],
    [],
    ['critical', 'people'],
  ],
  [
    'the older goes first',
    [waiting('u1'), waiting('u2'), waiting('u3', 'a', 'user-triggered', '2025-12-31T00:00:00Z')],
    [],
    ['u3', 'u1'],
  ],
])('%s', (_rule, line, busy, expected) => {
  expect([...nextInLine(line, busy, LIMITS)]).toEqual(expected)
})

test('two passes at the same time do not take the same place', () => {
  const turns = new Turns()
  const limits = { perCluster: 1, outboundPerNode: 2 }
  const line = [waiting('u1'), waiting('u2')]
  expect(turns.take('u1', line, [], limits)).toBe(true)
  expect(turns.take('u2', line, [], limits)).toBe(false)
  expect(turns.take('u1', line, [], limits)).toBe(true)
  turns.leave('u1')
  expect(turns.take('u2', [waiting('u2')], [], limits)).toBe(true)
})

test('a node sends two guests at a time; the next begins when one is over', async () => {
  const world = await startMovingWorld()
  // The second node has room for all of them, and is asked for nothing.
  world.nodes.set('node-b', undefined)
  world.b.disconnect()
  await turn()
  const guests = await Promise.all(['one', 'two'].map((name) => world.run(name)))
  world.nodes.set('node-b', world.b)
  await turn()
  for (const name of ['web', 'one', 'two']) await world.migrate(`move-${name}`, {}, name)
  await world.inPhase('move-web', 'Running')
  await world.inPhase('move-one', 'Running')
  await world.until(async () => (await world.vmim('move-two'))?.status?.phase === 'Pending')
  await turn()
  expect((await world.vmim('move-two'))?.status?.phase).toBe('Pending')
  expect(guests).toHaveLength(2)
  const { metadata } = (await world.vmim('move-web')) ?? {}
  world.arrive(metadata?.uid ?? '')
  await world.inPhase('move-two', 'Running')
})

test('limits of the KubeVirt object count, and count anew when they change', async () => {
  const world = await startMovingWorld()
  const draft = (parallelMigrationsPerCluster: number) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { namespace: 'default', name: 'kubevirt' },
    spec: { configuration: { migrations: { parallelMigrationsPerCluster } } },
  })
  await world.store.create(KUBEVIRTS, draft(1))
  await world.run('other')
  await world.migrate('first')
  await world.inPhase('first', 'Running')
  await world.migrate('second', {}, 'other')
  await world.inPhase('second', 'Pending')
  await turn()
  expect((await world.vmim('second'))?.status?.phase).toBe('Pending')
  await world.store.patch(KUBEVIRTS, 'default', 'kubevirt', {
    type: 'merge',
    body: { spec: draft(2).spec },
  })
  await world.inPhase('second', 'Running')
})
