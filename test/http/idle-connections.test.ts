import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { closeIdleConnections } from '../../src/http/idle-connections.ts'
import { serverOptions } from '../../src/http/tls.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'
import { silentLog } from '../helpers/worker.ts'

const KEEP_ALIVE_MS = 200
/** What Node adds to it. Source: `keepAliveTimeoutBuffer`. */
const NODE_ADDS_MS = 1000
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n'

let app: FastifyInstance
let ca: string
beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.cert
  const options = serverOptions(await servingPair(authority), silentLog, KEEP_ALIVE_MS)
  app = Fastify(options)
  app.get('/', async () => 'here')
  closeIdleConnections(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
})
afterAll(() => app.close())

function dial(): TLSSocket {
  const address = app.server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  return connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] })
}

/** A connection on which one request was answered. */
async function connectAndAsk(): Promise<TLSSocket> {
  const socket = dial()
  socket.write(`${REQUEST}\r\n`)
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /)
  return socket
}

test('a connection on which nothing is asked any more is closed', async () => {
  const socket = await connectAndAsk()
  expect(await text(socket)).toBe('')
})

test('what was asked in time is answered, though the process comes to it when the time of the connection is up', async () => {
  const socket = await connectAndAsk()
  const answer = text(socket)
  await new Promise<void>((resolve) => {
    socket.write(`${REQUEST}Connection: close\r\n\r\n`, () => resolve())
  })
  // The whole process stands still: the request waits with the system.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, KEEP_ALIVE_MS + NODE_ADDS_MS + 500)
  expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
})

test('a connection on which nothing is ever asked is closed, too, without a word', async () => {
  // Node looks every five seconds for requests that are late.
  Object.assign(app.server, { headersTimeout: 100 })
  expect(await text(dial())).toBe('')
})
