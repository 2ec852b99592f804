import { once } from 'node:events'
import { connect } from 'node:http2'
import { PassThrough, type Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { METRICS_PATH, registerMetrics } from '../../src/http/metrics-route.ts'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openSessionSource } from '../../src/metrics/sessions.ts'
import { CONTENT_TYPE, openMetrics } from '../../src/metrics/exposition.ts'
import { serveApiMetrics } from '../../src/roles/metrics.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'
import { ALICE, apiOf, BASE, memoryLog, vmiOf } from '../helpers/api.ts'
import { parseExposition, valueOf } from '../helpers/exposition.ts'
import { eventually } from '../helpers/server.ts'
import { serveStreams } from '../helpers/stream-client.ts'

const SIGNAL = new AbortController().signal

function metricsOf() {
  const metrics = openMetrics({ clock: systemClock, log: memoryLog() })
  metrics.add({
    source: 'test',
    collect: () => [{ name: 'virtgate_build_info', labels: { version: '1' }, value: 1 }],
  })
  return metrics
}

function partsOf(isOpen?: boolean) {
  const metrics = metricsOf()
  return { text: (signal: AbortSignal) => metrics.text(signal), contentType: CONTENT_TYPE, isOpen }
}

test('metrics are text in the format of Prometheus, for who may get the path', async () => {
  const { app, reviews } = apiOf({})
  registerMetrics(app, partsOf())
  const { statusCode, headers, body } = await app.inject({ url: METRICS_PATH, headers: ALICE })
  expect(statusCode).toBe(200)
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(parseExposition(body).get('virtgate_build_info')?.type).toBe('gauge')
  expect(reviews.map(({ attributes }) => attributes)).toEqual([
    { kind: 'path', verb: 'get', path: '/metrics' },
  ])
})

test.each([
  ['nobody', {}, 401],
  ['somebody who may not', ALICE, 403],
])('%s gets none', async (_who, headers, code) => {
  const { app } = apiOf({}, { authorizer: { review: async () => ({ allowed: false, reason: '' }) } })
  registerMetrics(app, partsOf())
  const { statusCode, body } = await app.inject({ url: METRICS_PATH, headers })
  expect(statusCode).toBe(code)
  expect(JSON.parse(body)).toMatchObject({ kind: 'Status', code })
})

test('anybody gets them where that is asked for', async () => {
  const { app } = apiOf({}, { authorizer: { review: async () => ({ allowed: false, reason: '' }) } })
  registerMetrics(app, partsOf(true))
  expect((await app.inject({ url: METRICS_PATH })).statusCode).toBe(200)
})

test('a server that goes away says so, answers what it is asked all the same, and sends clients elsewhere', async () => {
  const authority = await makeAuthority()
  const tls = await servingPair(authority)
  const node = { console: async () => new PassThrough() }
  const { app } = apiOf({ vmi: vmiOf(), node }, { tls, limits: { drainMs: 60_000 } })
  serveApiMetrics(app, openMetrics({ clock: systemClock, log: memoryLog() }), false)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { host } = new URL(url)
  const stream = new WebSocket(`wss://${host}${BASE}/virtualmachineinstances/vm1/console`, {
    headers: ALICE,
    ca: authority.cert,
  })
  await once(stream, 'open')
  const open = () => connect(url, { ca: authority.cert })
  const ask = async (path: string, session = open()) => {
    const call = session.request({ ':path': path, ...ALICE })
    const [{ ':status': code }] = await once(call, 'response')
    const body = await text(call)
    session.close()
    return { code, body }
  }
  const ready = async () => valueOf((await ask(METRICS_PATH)).body, 'kubevirt_virt_api_ready_status')
  expect(await ready()).toBe(1)
  const present = open()
  await once(present, 'remoteSettings')
  const sentAway = once(present, 'goaway')
  const closing = app.close()
  await eventually('it goes away', 5000, async () => (await ready()) === 0)
  await sentAway
  // Whatever the answer is: it is about what was asked.
  const { code, body } = await ask(`${BASE}/virtualmachineinstances/vm1/objectgraph`)
  expect([code, JSON.parse(body).reason]).toEqual([400, 'BadRequest'])
  stream.close()
  await closing
})

test('a session counts once it carries bytes, and not where its guest cannot be dialled', async () => {
  const sessionCounter = openSessionSource({ exists: async () => true, clock: { now: () => 0 } })
  const guests: Duplex[] = [new PassThrough()]
  const node = {
    console: async () => {
      const guest = guests.pop()
      if (!guest) throw serviceUnavailable('it is in use')
      return guest
    },
  }
  await using api = await serveStreams({ vmi: vmiOf(), node }, { sessionCounter })
  const path = '/virtualmachineinstances/vm1/console'
  const count = async () =>
    [...(await sessionCounter.collect(SIGNAL))].find(({ name }) => name.endsWith('connections'))?.value
  const { socket } = await api.open(path)
  await eventually('it counts', 5000, async () => (await count()) === 1)
  expect((await api.refusal(path)).code).toBe(503)
  expect(await count()).toBe(1)
  socket.terminate()
  await once(socket, 'close')
  await eventually('it has ended', 5000, async () => (await count()) === 0)
})
