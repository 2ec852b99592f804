import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { NodeView } from '../../src/controllers/node-view.ts'
import { startNodeWatch } from '../../src/controllers/node-watch.ts'
import type { GuestReport } from '../../src/rpc/actions.ts'
import { readLines } from '../../src/rpc/lines.ts'
import { WorkerUnreachable } from '../../src/rpc/unreachable.ts'
import { createFakeClock, turn, turnUntil } from '../helpers/fake-clock.ts'
import { createFakeNode, createFakeNodes } from '../helpers/fake-node.ts'
import { silentLog } from '../helpers/object-registry.ts'

function report(uid: string, change: Partial<GuestReport> = {}): GuestReport {
  const guest = { uid, namespace: 'default', name: uid }
  return { guest, epoch: 1, phase: 'Running', conditions: [], status: {}, events: [], ...change }
}

function setUp(...guests: GuestReport[]) {
  const node = createFakeNode('node-a')
  for (const guest of guests) node.guests.set(guest.guest.uid, guest)
  const nodes = createFakeNodes({ 'node-a': node })
  const clock = createFakeClock()
  const heard: string[] = []
  const dropped: string[] = []
  const watch = startNodeWatch({
    nodes,
    clock,
    log: silentLog,
    random: () => 0,
    holders: () => [],
    onGuest: ({ namespace, name }) => void heard.push(`${namespace}/${name}`),
    onDropped: (nodeName, fault) => void dropped.push(`${nodeName} ${fault}`),
    onNode: (nodeName) => void heard.push(nodeName),
  })
  onTestFinished(() => watch[Symbol.asyncDispose]())
  return { node, nodes, clock, heard, dropped, watch }
}

test('the latest report of each guest is remembered, and that it is gone', async () => {
  const { node, watch, heard } = setUp(report('u1'))
  await turnUntil(() => watch.view('node-a')?.guest('u1'))
  node.tell('u1', { message: 'new' })
  await turnUntil(() => watch.view('node-a')?.guest('u1')?.report.message === 'new')
  node.finish('u1', 'Succeeded')
  await turnUntil(() => watch.view('node-a')?.guest('u1')?.gone)
  expect(watch.guestsNamed('default/u1')).toMatchObject([
    { nodeName: 'node-a', guest: { report: { phase: 'Succeeded' } } },
  ])
  expect(heard).toContain('default/u1')
  watch.forget('u1')
  expect(watch.view('node-a')?.guest('u1')).toBeUndefined()
})

test('a connection that ends is made again, and its snapshot tells who is missing', async () => {
  const { node, watch, clock } = setUp(report('u1'))
  await turnUntil(() => watch.view('node-a')?.guest('u1'))
  node.guests.clear()
  node.disconnect()
  await turnUntil(() => watch.view('node-a')?.connection.connected === false)
  clock.advance(1000)
  await turnUntil(() => watch.view('node-a')?.connection.connected)
  expect(watch.view('node-a')?.guest('u1')?.gone).toBe(true)
  expect(watch.view('node-a')?.connection.session).toBe(2)
})

test('a node that falls silent is dialled anew', async () => {
  const { watch, node, clock } = setUp()
  await turnUntil(() => watch.view('node-a')?.connection.connected)
  await turn()
  clock.advance(30_000)
  await turnUntil(() => watch.view('node-a')?.connection.connected === false)
  clock.advance(1000)
  await turnUntil(() => watch.view('node-a')?.connection.session === 2)
  expect(node.watching()).toBe(1)
})

test('a line that is too long is dropped, and said to be; a connection that breaks is not', async () => {
  const { node, watch, clock, dropped } = setUp(report('u1'))
  await turnUntil(() => watch.view('node-a')?.connection.connected)
  node.disconnect()
  await turnUntil(() => watch.view('node-a')?.connection.connected === false)
  expect(dropped).toEqual([])
  const limitBytes = 100
  node.watch = async function* tooLong() {
    const line = Readable.from([Buffer.from(JSON.stringify(report('u'.repeat(limitBytes))))])
    try {
      for await (const text of readLines(line, limitBytes)) yield JSON.parse(text)
    } catch (error) {
      throw new WorkerUnreachable('node-a', '/watch', error)
    }
  }
  clock.advance(1000)
  await turnUntil(() => dropped.length > 0)
  expect(dropped).toEqual(['node-a too_long'])
})

test('a node that is enrolled later is listened to at once', async () => {
  const { watch, nodes } = setUp()
  nodes.set('node-b', createFakeNode('node-b'))
  await turnUntil(() => watch.view('node-b')?.connection.connected)
  expect(watch.view('node-a')?.connection.session).toBe(1)
})

test('closing ends every watch and leaves no timer', async () => {
  const { watch, node, clock } = setUp()
  await turnUntil(() => watch.view('node-a')?.connection.connected)
  await watch[Symbol.asyncDispose]()
  expect([node.watching(), clock.pending()]).toEqual([0, 0])
})

test('the answer of a call does not overwrite what the watch has told since', () => {
  const view = new NodeView(0)
  const seen = view.guest('u1')
  view.apply({ type: 'report', guest: report('u1', { phase: 'Running' }) }, 0)
  view.absorb(report('u1', { phase: 'Scheduled' }), seen)
  expect(view.guest('u1')?.report.phase).toBe('Running')
  view.absorb(report('u2', { phase: 'Scheduled' }), view.guest('u2'))
  expect(view.guest('u2')?.report.phase).toBe('Scheduled')
})
