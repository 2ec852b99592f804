import { once } from 'node:events'
import { beforeEach, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import type { User } from '../../src/auth/access.ts'
import type { ServerOptions } from '../../src/http/server.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Stream } from '../../src/subresources/subresource.ts'
import { EVENTS, VMIS } from '../../src/kinds/table.ts'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import { getVmi } from '../../src/subresources/lookup.ts'
import { ALICE, byToken, partsOf, vmiOf } from '../helpers/api.ts'
import { memoryStore } from '../helpers/memory-store.ts'
import {
  refusalOf,
  serveStreams,
  StreamGuest,
  streamOf,
  VMI_PATH,
  type StreamServer,
} from '../helpers/stream-server.ts'

let guests: StreamGuest[] = []
let now = 0
beforeEach(() => {
  guests = []
  now = Date.parse('2026-03-01T12:00:00Z')
})
/** Tells the time of the test; timers are real. */
const clock: Clock = { ...systemClock, now: () => now }

const console: Stream = streamOf(
  async (call) => {
    await getVmi(call)
    const guest = new StreamGuest()
    guests.push(guest)
    return guest
  },
  { name: 'console' },
)
const port: Stream = { ...console, name: 'portforward', paths: ['/:port', '/:port/:protocol'] }

async function serve(options: Partial<ServerOptions> = {}): Promise<StreamServer> {
  return serveStreams([console, port], { vmi: vmiOf() }, { clock, ...options })
}

async function getTicket(
  { app }: StreamServer,
  path = '/console',
  headers: Record<string, string> = {},
): Promise<string> {
  const response = await app.inject({
    method: 'POST',
    url: `${VMI_PATH}${path}/ticket`,
    headers: { ...ALICE, ...headers },
  })
  expect(response.statusCode).toBe(201)
  return response.json().status.ticket
}

function dialWith(server: StreamServer, ticket: string, path = '/console', headers = {}): WebSocket {
  return server.dial(`${path}?ticket=${ticket}`, ['plain.kubevirt.io'], { headers })
}

async function refused(socket: WebSocket): Promise<string> {
  const { code, body } = await refusalOf(socket)
  expect([code, body.reason]).toEqual([401, 'Unauthorized'])
  return body.message
}

test('whoever may open a stream gets a ticket for it, which nobody on the way keeps', async () => {
  const server = await serve()
  const response = await server.app.inject({
    method: 'POST',
    url: `${VMI_PATH}/console/ticket`,
    headers: ALICE,
  })
  expect(response.statusCode).toBe(201)
  expect(response.headers['cache-control']).toBe('no-store')
  expect(response.json()).toEqual({
    kind: 'StreamTicket',
    apiVersion: 'subresources.kubevirt.io/v1',
    metadata: { namespace: 'ns1', name: 'vm1', creationTimestamp: '2026-03-01T12:00:00Z' },
    status: {
      ticket: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      expirationTimestamp: '2026-03-01T12:00:30Z',
    },
  })
  expect(server.reviews.map(({ attributes }) => attributes)).toEqual([
    expect.objectContaining({ verb: 'get', resource: 'virtualmachineinstances', subresource: 'console' }),
  ])
})

test('a ticket opens its stream once, for the user it was given to', async () => {
  const bob: User = { name: 'bob', uid: 'b-1', groups: ['staff', 'x,y'], extra: { 'example.org/k': ['v'] } }
  const server = await serve({
    authenticator: { authenticate: async ({ bearerToken }) => (bearerToken === undefined ? undefined : bob) },
  })
  const ticket = await getTicket(server)
  server.reviews.length = 0
  await once(dialWith(server, ticket), 'open')
  expect(server.reviews.map(({ user }) => user)).toEqual([bob])
  expect(await refused(dialWith(server, ticket))).toContain('used before')
  expect(guests).toHaveLength(1)
})

test('of many who show a ticket at the same moment one gets in', async () => {
  const server = await serve()
  const ticket = await getTicket(server)
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = dialWith(server, ticket)
      socket.on('error', () => {})
      return Promise.race([
        once(socket, 'open').then(() => 'open'),
        refusalOf(socket).then(({ code }) => code),
      ])
    }),
  )
  expect(outcomes.filter((one) => one === 'open')).toHaveLength(1)
  expect(outcomes.filter((one) => one === 401)).toHaveLength(19)
})

test('a ticket is good for 30 s', async () => {
  const server = await serve()
  const early = await getTicket(server)
  const late = await getTicket(server)
  now += 29_000
  await once(dialWith(server, early), 'open')
  now += 1_000
  expect(await refused(dialWith(server, late))).toContain('expired')
})

test('a right that was taken away since counts', async () => {
  let allowed = true
  const server = await serve({ authorizer: { review: async () => ({ allowed, reason: '' }) } })
  const ticket = await getTicket(server)
  allowed = false
  const { code } = await refusalOf(dialWith(server, ticket))
  expect(code).toBe(403)
})

test.each([
  ['another stream', '/console', '/portforward/22'],
  ['another port', '/portforward/22/tcp', '/portforward/23/tcp'],
  ['another protocol', '/portforward/22/tcp', '/portforward/22/udp'],
  ['no protocol', '/portforward/22/tcp', '/portforward/22'],
])('a ticket is not good for %s', async (_what, given, asked) => {
  const server = await serve()
  const ticket = await getTicket(server, given)
  expect(await refused(dialWith(server, ticket, asked))).toContain('another stream')
  await once(dialWith(server, ticket, given), 'open')
})

test('B8: a ticket is not good for another VM, nor for one that has its name since', async () => {
  const server = await serve()
  const other = vmiOf()
  server.put(VMIS, { ...other, metadata: { ...other.metadata, name: 'vm2', uid: 'u2' } })
  const ticket = await getTicket(server)
  const path = `${VMI_PATH.replace('vm1', 'vm2')}/console?ticket=${ticket}`
  const { WebSocket: Socket } = await import('ws')
  expect(await refused(new Socket(`ws://127.0.0.1:${server.port}${path}`))).toContain('another stream')
  server.put(VMIS, { ...other, metadata: { ...other.metadata, uid: 'u3' } })
  expect(await refused(dialWith(server, ticket))).toContain('of that name')
  expect(guests).toEqual([])
})

test('a ticket that a page has got is good for that page alone', async () => {
  const server = await serve({ allowedOrigins: ['https://a.example', 'https://b.example'] })
  const headers = { origin: 'https://a.example' }
  const ticket = await getTicket(server, '/console', headers)
  expect(await refused(dialWith(server, ticket, '/console', { origin: 'https://b.example' }))).toContain(
    'origin',
  )
  await once(dialWith(server, ticket, '/console', headers), 'open')
})

test('a page that is not allowed opens nothing with a ticket', async () => {
  const server = await serve()
  const ticket = await getTicket(server)
  const { code } = await refusalOf(dialWith(server, ticket, '/console', { origin: 'https://evil.example' }))
  expect(code).toBe(403)
  expect(guests).toEqual([])
})

test.each([
  ['nothing', ''],
  ['no token', 'x'],
  ['a token of somebody else', 'eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ4In0.AAAA'],
  ['an unsigned token', 'eyJhbGciOiJub25lIn0.eyJqdGkiOiJ4In0.'],
])('%s is no ticket', async (_what, text) => {
  expect(await refused(dialWith(await serve(), text))).toContain('no ticket')
})

test('a ticket in place of a token opens nothing else', async () => {
  const server = await serve({ authenticator: byToken })
  const ticket = await getTicket(server)
  const url = `${VMI_PATH}/console/ticket?ticket=${ticket}`
  expect((await server.app.inject({ method: 'POST', url })).statusCode).toBe(401)
  expect((await server.app.inject({ url: `${VMI_PATH}/console?ticket=${ticket}` })).statusCode).toBe(401)
})

test('servers with the same key take in each other’s tickets, and others do not', async () => {
  const keys = [new Uint8Array(32).fill(7)]
  const [one, other, stranger] = [
    await serve({ ticketKeys: () => keys }),
    await serve({ ticketKeys: () => [new Uint8Array(32).fill(8), ...keys] }),
    await serve(),
  ]
  const ticket = await getTicket(one)
  expect(await refused(dialWith(stranger, ticket))).toContain('of this installation')
  await once(dialWith(other, ticket), 'open')
})

test('a ticket that was used at one server is good at no other, however fast', async () => {
  const keys = [new Uint8Array(32).fill(7)]
  const { store, find } = memoryStore([VMIS, vmiOf()])
  const parts = partsOf(store)
  const servers = [
    await serve({ ticketKeys: () => keys, parts }),
    await serve({ ticketKeys: () => keys, parts }),
  ]
  const ticket = await getTicket(servers[0]!)
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const socket = dialWith(servers[index % 2]!, ticket)
      socket.on('error', () => {})
      return Promise.race([once(socket, 'open').then(() => 'open'), refused(socket)])
    }),
  )
  expect(outcomes.toSorted()).toEqual([
    'open',
    ...Array.from({ length: 19 }, () => 'the ticket was used before: ask for a new one'),
  ])
  const id: string = JSON.parse(Buffer.from(ticket.split('.')[1] ?? '', 'base64url').toString()).jti
  expect(find(EVENTS, 'kubevirt', `ticket.${id}`)).toMatchObject({ reason: 'TicketUsed' })
})

test('where it cannot be noted that a ticket is used, nobody is let in', async () => {
  const { store } = memoryStore([VMIS, vmiOf()])
  const broken = { ...store, create: () => Promise.reject(serviceUnavailable('the API server is away')) }
  const parts = partsOf(broken)
  const server = await serve({ parts })
  const { code } = await refusalOf(dialWith(server, await getTicket(server)))
  expect([code, guests]).toEqual([503, []])
})

test('a ticket is given for a guest that is there, by POST alone', async () => {
  const { app, log } = await serve()
  const absent = await app.inject({
    method: 'POST',
    url: `${VMI_PATH.replace('vm1', 'vm2')}/console/ticket`,
    headers: ALICE,
  })
  expect([absent.statusCode, absent.json().reason]).toEqual([404, 'NotFound'])
  const get = await app.inject({ url: `${VMI_PATH}/console/ticket`, headers: ALICE })
  expect([get.statusCode, get.headers['allow']]).toEqual([405, 'POST'])
  expect(log.lines.filter(({ level }) => level === 'error')).toEqual([])
})

test('no ticket and no token is ever logged', async () => {
  const server = await serve()
  const ticket = await getTicket(server)
  const socket = dialWith(server, ticket)
  await once(socket, 'open')
  await refused(dialWith(server, ticket))
  const token = Buffer.from('bad').toString('base64url')
  const protocols = [`base64url.bearer.authorization.k8s.io.${token}`, 'plain.kubevirt.io']
  await refused(server.dial('/console', protocols, { headers: {} }))
  socket.close(1000)
  await once(socket, 'close')
  const logged = JSON.stringify(server.log.lines)
  expect(logged).toContain('stream opened')
  expect(logged).not.toContain(ticket)
  expect(logged).not.toContain(ticket.split('.')[1])
  expect(logged).not.toContain(token)
})

test('a token in the subprotocols needs another one to answer with', async () => {
  const server = await serve()
  const token = `base64url.bearer.authorization.k8s.io.${Buffer.from('alice').toString('base64url')}`
  expect(await refused(server.dial('/console', [token], { headers: {} }))).toContain('plain.kubevirt.io')
})
