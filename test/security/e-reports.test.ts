/**
 * Security checklist, E3: who a report is from is said by its channel, never by the report. Two workers behind real mutual
 * TLS, one of which lies, and all controllers on a real store.
 */
import { onTestFinished, expect, test } from 'vitest'
import { roleUri } from '../../certs/roles.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openMetrics, type Metrics } from '../../src/metrics/exposition.ts'
import { VMIS } from '../../src/kinds/table.ts'
import type { GuestReport } from '../../src/rpc/actions.ts'
import { connectNode } from '../../src/rpc/client.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { memoryLog } from '../helpers/api.ts'
import { buildVmi, startWorld } from '../helpers/controllers.ts'
import { turn, turnUntil } from '../helpers/fake-clock.ts'
import { createFakeNode, type FakeNode } from '../helpers/fake-node.ts'
import { parseExposition } from '../helpers/exposition.ts'
import { makeAuthority } from '../helpers/pki.ts'

/** The node as the controller sees it: over mutual TLS, under the name that its certificate says. */
async function overTls(nodes: Record<string, FakeNode>): Promise<Record<string, FakeNode>> {
  const authority = await makeAuthority()
  const certify = async (uri: string) => ({
    ...(await authority.issue({ usage: 'both', uris: [uri] })),
    ca: authority.cert,
  })
  const controller = roleUri({ role: 'controller' })
  const tls = await certify(controller)
  const log = memoryLog()
  const connected = Object.entries(nodes).map(async ([node, actions]): Promise<[string, FakeNode]> => {
    const serverUri = roleUri({ role: 'worker', node })
    const server = buildRpcServer({
      actions,
      tls: await certify(serverUri),
      allowedUris: [controller],
      log,
    })
    onTestFinished(() => server[Symbol.asyncDispose]())
    const port = await server.listen(0, '127.0.0.1')
    const client = connectNode({ address: '127.0.0.1', port, tls, serverUri, log })
    onTestFinished(() => client[Symbol.asyncDispose]())
    // What controllers call goes over the wire; the rest is for the test.
    const over = new Proxy(actions, {
      get: (target, name) => {
        const called: unknown = Reflect.get(client, name)
        return typeof called === 'function' ? called.bind(client) : Reflect.get(target, name)
      },
    })
    return [node, over]
  })
  return Object.fromEntries(await Promise.all(connected))
}

const LIES: [string, Partial<GuestReport>][] = [
  ['has failed', { phase: 'Failed' }],
  ['is paused', { phase: 'Running', conditions: [{ type: 'Paused', status: 'True' }] }],
  [
    'has another address',
    { phase: 'Running', status: { interfaces: [{ name: 'default', ipAddress: '10.6.6.6' }] } },
  ],
  ['is being moved', { phase: 'Running', migration: { migrationUid: 'm', side: 'target', phase: 'done' } }],
]

test.each(LIES)(
  'a worker that says of the guest of another worker that it %s changes nothing',
  async (_what, lie) => {
    const honest = createFakeNode('honest')
    const liar = createFakeNode('liar')
    const metrics = openMetrics({ clock: systemClock, log: memoryLog() })
    const world = await startWorld({ nodes: await overTls({ honest, liar }), metrics })
    await world.store.create(VMIS, buildVmi('web', { nodeSelector: { 'kubernetes.io/hostname': 'honest' } }))
    const { uid } = (await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')).metadata
    honest.tell(uid, { phase: 'Running' })
    const before = await world.vmiUntil('web', ({ status }) => status?.phase === 'Running')
    const events = await world.reasons('web')
    const guest = { uid, namespace: 'default', name: 'web' }
    const told = {
      id: 'e1',
      type: 'Warning',
      reason: 'Lie',
      message: 'a lie',
      time: '2026-01-01T00:00:00Z',
    } as const
    const honestReport = honest.guests.get(uid)
    if (!honestReport) throw new Error('the honest worker has no guest')
    liar.guests.set(uid, { ...honestReport, guest, ...lie, events: [told] })
    liar.tell(uid, {})
    // It was heard, and told to let go of what is not its own.
    await turnUntil(() => liar.removes.length > 0)
    await turn()
    expect((await world.vmi('web'))?.status).toEqual(before.status)
    expect(await world.reasons('web')).toEqual(events)
    expect(honest.removes).toEqual([])
    expect(await droppedOf(metrics)).toEqual([{ labels: { node: 'liar', reason: 'foreign' }, value: 1 }])
  },
)

test('what nodes say of their own guests is not counted as dropped, nor of guests that are no more', async () => {
  const node = createFakeNode('node-a')
  const metrics = openMetrics({ clock: systemClock, log: memoryLog() })
  const world = await startWorld({ nodes: await overTls({ 'node-a': node }), metrics })
  await world.store.create(VMIS, buildVmi('web'))
  const { uid } = (await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')).metadata
  node.tell(uid, { phase: 'Running' })
  const running = await world.vmiUntil('web', ({ status }) => status?.phase === 'Running')
  const report = node.guests.get(uid)
  if (!report) throw new Error('the node has no guest')
  node.guests.set('of-before', { ...report, guest: { ...report.guest, uid: 'of-before' } })
  node.tell('of-before', {})
  await turnUntil(() => node.removes.length > 0)
  expect((await world.vmi('web'))?.status).toEqual(running.status)
  expect(await droppedOf(metrics)).toEqual([])
})

test('a report that is malformed is dropped and counted, and the node is heard again', async () => {
  const node = createFakeNode('node-a')
  const metrics = openMetrics({ clock: systemClock, log: memoryLog() })
  const world = await startWorld({ nodes: await overTls({ 'node-a': node }), metrics })
  await world.store.create(VMIS, buildVmi('web'))
  const { uid } = (await world.vmiUntil('web', ({ status }) => status?.phase === 'Scheduled')).metadata
  const honest = node.guests.get(uid)
  if (!honest) throw new Error('the node has no guest')
  // What no honest worker could send.
  node.tell(uid, { phase: 'Unheard' as 'Running' })
  await turnUntil(async () => (await droppedOf(metrics)).length > 0)
  expect(await droppedOf(metrics)).toEqual([{ labels: { node: 'node-a', reason: 'malformed' }, value: 1 }])
  expect((await world.vmi('web'))?.status?.phase).toBe('Scheduled')
  node.guests.set(uid, { ...honest, phase: 'Running' })
  world.clock.advance(1000)
  await world.vmiUntil('web', ({ status }) => status?.phase === 'Running')
})

async function droppedOf(metrics: Metrics): Promise<object[]> {
  let text = ''
  for await (const piece of metrics.text()) text += piece
  const samples = parseExposition(text).get('virtgate_worker_reports_dropped_total')?.samples ?? []
  return samples.map(({ labels, value }) => ({ labels, value }))
}
