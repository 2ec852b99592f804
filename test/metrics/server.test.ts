/** What an API server tells of its requests and streams, asked over HTTP. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import type { ServerOptions } from '../../src/http/server.ts'
import { StreamEnded } from '../../src/lib/stream-end.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { watchServer } from '../../src/metrics/server.ts'
import { ALICE, apiOf, BASE, memoryLog, vmiOf } from '../helpers/api.ts'
import { parseExposition, readText, valueOf } from '../helpers/exposition.ts'
import { createFakeClock, turnUntil } from '../helpers/fake-clock.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'
import { refusalOf, serveStreams, StreamGuest, streamOf } from '../helpers/stream-server.ts'

const ROUTE =
  '/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}/guestosinfo'

/** The machine may be busy with something else. */
const SOON = { timeout: 20_000 }

function watched() {
  const metrics = openMetrics({ clock: createFakeClock(), log: memoryLog() })
  return { watch: watchServer(metrics), read: () => readText(metrics) }
}

async function serve(open: () => Promise<StreamGuest>, options: Partial<ServerOptions> = {}, name = 'test') {
  const { watch, read } = watched()
  const server = await serveStreams([streamOf(open, { name })], { vmi: vmiOf() }, { watch, ...options })
  return { ...server, read }
}

test('requests are told by route, verb and code, and by the name of no object', async () => {
  const { watch, read } = watched()
  const { app } = apiOf({ vmi: vmiOf() }, { watch })
  const vmis = `${BASE}/virtualmachineinstances`
  for (let i = 0; i < 50; i += 1)
    await app.inject({ url: `${vmis}/made-up-${i}/guestosinfo`, headers: ALICE })
  await app.inject({ url: `${vmis}/vm1/guestosinfo` })
  await app.inject({ method: 'PUT', url: `${vmis}/vm1/pause`, headers: ALICE })
  await app.inject({ url: '/no/such/path', headers: ALICE })
  const counts = async () =>
    parseExposition(await read())
      .get('virtgate_request_duration_seconds')
      ?.samples.filter(({ name }) => name.endsWith('_count'))
      .map(({ labels, value }) => ({ ...labels, value }))
  await expect.poll(counts, SOON).toEqual([
    { route: ROUTE, verb: 'get', code: '404', value: 50 },
    { route: ROUTE, verb: 'get', code: '401', value: 1 },
    { route: ROUTE.replace('guestosinfo', 'pause'), verb: 'update', code: '503', value: 1 },
    { route: '<none>', verb: 'get', code: '404', value: 1 },
  ])
  expect(await read()).not.toContain('made-up')
})

test.each(['http/1.1', 'h2'] as const)(
  'requests whose client leaves are told over %s, with the code that they had or 499',
  async (protocol) => {
    const { watch, read } = watched()
    const authority = await makeAuthority()
    const { app } = apiOf({}, { watch, tls: await servingPair(authority) })
    onTestFinished(() => app.close())
    const never = new Promise<void>(() => {})
    const open = { config: { access: 'open' as const } }
    app.get('/never', open, async () => never)
    app.get('/endless', open, async () => Readable.from(endless(never)))
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const dispatcher = new Agent({ allowH2: protocol === 'h2', connect: { ca: authority.cert } })
    const leave = new AbortController()
    const unanswered = request(`${url}/never`, { dispatcher, signal: leave.signal })
    const { body } = await request(`${url}/endless`, { dispatcher, signal: leave.signal })
    leave.abort()
    await expect(Promise.all([unanswered, body.text()])).rejects.toThrow('aborted')
    const counts = async () => {
      const text = await read()
      return [
        { route: '/never', verb: 'get', code: '499' },
        { route: '/endless', verb: 'get', code: '200' },
      ].map((labels) => valueOf(text, 'virtgate_request_duration_seconds_count', labels))
    }
    await expect.poll(counts, SOON).toEqual([1, 1])
    await dispatcher.destroy()
  },
)

async function* endless(never: Promise<void>): AsyncGenerator<string> {
  yield 'first'
  await never
}

test('how long requests wait for their turn is told, and how many are turned away', async () => {
  const { watch, read } = watched()
  const held = Promise.withResolvers<{ allowed: boolean; reason: string }>()
  const authorizer = { review: () => held.promise }
  const lane = { atOnce: 1, atOncePerFlow: 1, waitingPerFlow: 1 }
  const { app } = apiOf({ vmi: vmiOf() }, { watch, authorizer, lane })
  const ask = () => app.inject({ url: `${BASE}/virtualmachineinstances/vm1/guestosinfo`, headers: ALICE })
  const all = [ask(), ask(), ask()]
  const labels = { lane: 'read' }
  await turnUntil(async () => valueOf(await read(), 'virtgate_requests_turned_away_total', labels) === 1)
  expect(valueOf(await read(), 'virtgate_request_queue_wait_seconds_count', labels)).toBe(1)
  held.resolve({ allowed: false, reason: '' })
  const codes = (await Promise.all(all)).map(({ statusCode }) => statusCode)
  expect(codes).toEqual([403, 403, 429])
  const text = await read()
  expect(valueOf(text, 'virtgate_request_queue_wait_seconds_count', labels)).toBe(2)
  expect(valueOf(text, 'virtgate_request_queue_wait_seconds_sum', labels)).toBeGreaterThan(0)
})

test('bytes of a stream are told while it is open, and are kept when it has ended', async () => {
  const guest = new StreamGuest()
  const server = await serve(async () => guest)
  const socket = server.dial('/test')
  await once(socket, 'open')
  const bytes = async () => {
    const text = await server.read()
    return ['to_client', 'to_guest'].map((direction) =>
      valueOf(text, 'virtgate_stream_bytes_total', { type: 'test', direction }),
    )
  }
  socket.send('0123456789', { binary: true })
  guest.push('abc')
  await once(socket, 'message')
  await expect.poll(bytes, SOON).toEqual([3, 10])
  socket.close(1000)
  await expect
    .poll(
      async () =>
        valueOf(await server.read(), 'virtgate_streams_closed_total', {
          type: 'test',
          reason: 'client_closed',
        }),
      SOON,
    )
    .toBe(1)
  expect(await bytes()).toEqual([3, 10])
  const dials = 'virtgate_stream_open_duration_seconds_count'
  expect(valueOf(await server.read(), dials, { type: 'test' })).toBe(1)
})

test.each<[string, (guest: StreamGuest) => void]>([
  ['guest_closed', (guest) => guest.push(null)],
  ['guest_broke', (guest) => guest.destroy(new Error('gone'))],
  ['displaced', (guest) => guest.destroy(new StreamEnded('displaced'))],
  ['behind', (guest) => guest.destroy(new StreamEnded('behind'))],
])('a stream that ends as %s is told as that', async (reason, end) => {
  const guest = new StreamGuest()
  const server = await serve(async () => guest)
  const socket = server.dial('/test')
  await once(socket, 'open')
  const closed = once(socket, 'close')
  end(guest)
  await closed
  await expect
    .poll(
      async () => valueOf(await server.read(), 'virtgate_streams_closed_total', { type: 'test', reason }),
      SOON,
    )
    .toBe(1)
})

test('a user who loses the right, and a client that vanishes, are told apart', async () => {
  let isAllowed = true
  const clock = createFakeClock()
  const authorizer = { review: async () => ({ allowed: isAllowed, reason: '' }) }
  const server = await serve(async () => new StreamGuest(), {
    authorizer,
    clock,
    limits: { reviewMs: 1000 },
  })
  const sockets = [server.dial('/test'), server.dial('/test')]
  await Promise.all(sockets.map((socket) => once(socket, 'open')))
  sockets[0]?.terminate()
  const closed = async (reason: string) =>
    valueOf(await server.read(), 'virtgate_streams_closed_total', { type: 'test', reason })
  await expect.poll(() => closed('client_gone'), SOON).toBe(1)
  isAllowed = false
  await expect
    .poll(async () => {
      clock.advance(1000)
      return closed('right_lost')
    }, SOON)
    .toBe(1)
  for (const socket of sockets) socket.terminate()
})

test.each([
  ['user', { maxSessionsPerUser: 1 }],
  ['vmi', { maxSessionsPerVmi: 1 }],
  ['server', { maxSessions: 1 }],
])('a stream above the limit of the %s is told as refused', async (limit, limits) => {
  const server = await serve(async () => new StreamGuest(), { limits })
  const socket = server.dial('/test')
  await once(socket, 'open')
  expect((await refusalOf(server.dial('/test'))).code).toBe(429)
  expect(valueOf(await server.read(), 'virtgate_streams_refused_total', { type: 'test', limit })).toBe(1)
  socket.terminate()
})
