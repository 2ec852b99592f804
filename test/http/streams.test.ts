import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import type { KeyPair } from '../../certs/issue.ts'
import { StreamEnded } from '../../src/lib/stream-end.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { inUse } from '../../src/lib/in-use.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { ALICE, apiOf, BASE, vmiOf, type TestApi } from '../helpers/api.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'

let authority: TestAuthority
let pair: KeyPair
beforeAll(async () => {
  authority = await makeAuthority()
  pair = await servingPair(authority)
})

const open: TestApi[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ app }) => app.close()))
})

const CONSOLE = `${BASE}/virtualmachineinstances/vm1/console`
const VNC = `${BASE}/virtualmachineinstances/vm1/vnc`

/** A guest's side of a stream: what the client sent, and a way to answer. */
class FakeGuest extends Duplex {
  received: Buffer[] = []
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.received.push(chunk)
    this.emit('got')
    done()
  }

  text(): string {
    return Buffer.concat(this.received).toString()
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}

async function serve(
  { vmi = vmiOf(), node }: { vmi?: Vmi; node: Partial<Actions> },
  options: Parameters<typeof apiOf>[1] = {},
): Promise<TestApi & { port: number }> {
  const api = apiOf({ vmi, node }, { tls: pair, ...options })
  open.push(api)
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const address = api.app.server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return { ...api, port: address.port }
}

function dial(
  port: number,
  path: string,
  protocols: string[] = ['plain.kubevirt.io'],
  options: ClientOptions = {},
) {
  return new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, {
    ca: authority.cert,
    headers: ALICE,
    perMessageDeflate: false,
    ...options,
  })
}

async function refusalOf(
  socket: WebSocket,
): Promise<{ code: number; body: { code?: number; reason?: string; message?: string } }> {
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  expect(Buffer.byteLength(text)).toBeLessThan(1024)
  return { code: response.statusCode, body: JSON.parse(text) }
}

test('a console carries bytes unchanged both ways', async () => {
  const guest = new FakeGuest()
  const { port, log } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  expect(socket.protocol).toBe('plain.kubevirt.io')
  expect(socket.extensions).toBe('')
  const up = randomBytes(300_000)
  const down = randomBytes(700_000)
  const seen: Buffer[] = []
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    expect(isBinary).toBe(true)
    seen.push(data)
  })
  for (let at = 0; at < up.length; at += 10_000) socket.send(up.subarray(at, at + 10_000))
  Readable.from([down.subarray(0, 1), down.subarray(1)]).on('data', (chunk) => guest.push(chunk))
  while (Buffer.concat(seen).length < down.length || Buffer.concat(guest.received).length < up.length)
    await sleep(5)
  expect(Buffer.concat(seen).equals(down)).toBe(true)
  expect(Buffer.concat(guest.received).equals(up)).toBe(true)
  socket.close(1000)
  await once(socket, 'close')
  await until(() => log.lines.some(({ text }) => text === 'stream closed'))
  expect(guest.destroyed).toBe(true)
  const closed = log.lines.find(({ text }) => text === 'stream closed')
  expect(closed?.fields).toMatchObject({ user: 'alice', bytesToClient: down.length, bytesToGuest: up.length })
})

test('text messages are dropped', async () => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  socket.send('text')
  socket.send(Buffer.from('bytes'))
  await once(guest, 'got')
  expect(guest.text()).toBe('bytes')
})

test.each([
  ['ends', (guest: Duplex) => guest.push(null), 1000],
  ['breaks', (guest: Duplex) => guest.destroy(new Error('gone')), 1011],
  ['is cut off', (guest: Duplex) => guest.destroy(), 1011],
  ['is taken over by somebody else', (guest: Duplex) => guest.destroy(new StreamEnded('displaced')), 4001],
  ['is on a worker that drains', (guest: Duplex) => guest.destroy(new StreamEnded('draining')), 1001],
])('when the guest side %s, the client is told by the close code', async (_what, act, code) => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  const messages: Buffer[] = []
  socket.on('message', (data: Buffer) => messages.push(data))
  await once(socket, 'open')
  guest.push('last words')
  await once(socket, 'message')
  act(guest)
  const [closed, reason] = await once(socket, 'close')
  expect(closed).toBe(code)
  expect(String(reason)).not.toBe('')
  expect(Buffer.concat(messages).toString()).toBe('last words')
  expect(guest.destroyed).toBe(true)
})

test('all a guest has said before it ends reaches the client', async () => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  const hash = createHash('sha256')
  socket.on('message', (data: Buffer) => hash.update(data))
  await once(socket, 'open')
  const said = randomBytes(3_000_000)
  guest.push(said)
  guest.push(null)
  const [code] = await once(socket, 'close')
  expect(code).toBe(1000)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(said).digest('hex'))
})

test('a slow reader holds the guest back instead of filling memory', async () => {
  let made = 0
  const guest = new FakeGuest()
  guest._read = () => {
    const chunk = Buffer.alloc(64 * 1024, made % 251)
    made += chunk.length
    guest.push(chunk)
  }
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  socket.pause()
  await sleep(500)
  const afterPause = made
  await sleep(500)
  // Nothing more is taken from the guest; what was taken sits in the kernel's buffers, which grow to megabytes.
  expect(made).toBe(afterPause)
  expect(made).toBeLessThan(16 * 1024 * 1024)
  socket.resume()
  await until(() => made > afterPause)
  socket.terminate()
  await until(() => guest.destroyed)
})

test('a guest that does not read holds the client back', async () => {
  const guest = new FakeGuest()
  guest._write = () => {}
  const clock = manualClock()
  const { port } = await serve({ node: { console: async () => guest } }, { clock })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  const before = process.memoryUsage().arrayBuffers
  for (let sent = 0; sent < 400; sent += 1) socket.send(Buffer.alloc(64 * 1024))
  await sleep(500)
  // Most of the 25 MiB still wait with the client.
  expect(socket.bufferedAmount).toBeGreaterThan(10 * 1024 * 1024)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60 * 1024 * 1024)
  // Its answers to pings are not read meanwhile, which must not count against it.
  for (let ping = 0; ping < 5; ping += 1) clock.fire()
  expect(guest.destroyed).toBe(false)
  socket.terminate()
  // It is found to be gone by the pings.
  await until(() => {
    clock.fire()
    return guest.destroyed
  })
})

test.each([
  ['not offered', [], ''],
  ['offered', ['plain.kubevirt.io'], 'plain.kubevirt.io'],
  ['one of several', ['x', 'plain.kubevirt.io'], 'plain.kubevirt.io'],
])('the subprotocol is %s', async (_how, offered, answered) => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE, offered)
  await once(socket, 'open')
  expect(socket.protocol).toBe(answered)
})

test('an unknown subprotocol alone is answered 101 without one', async () => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const answer = await raw(port, handshake({ 'Sec-WebSocket-Protocol': 'other' }))
  expect(answer).toMatch(/^HTTP\/1.1 101 /)
  expect(answer.toLowerCase()).not.toContain('sec-websocket-protocol')
})

test('a browser shows its token as a subprotocol, which is never echoed', async () => {
  const guest = new FakeGuest()
  const { port, reviews } = await serve({ node: { console: async () => guest } })
  const token = `base64url.bearer.authorization.k8s.io.${Buffer.from('bob').toString('base64url')}`
  const socket = dial(port, CONSOLE, [token, 'plain.kubevirt.io'], { headers: {} })
  await once(socket, 'open')
  expect(socket.protocol).toBe('plain.kubevirt.io')
  expect(reviews[0]?.user.name).toBe('bob')
})

test('another credential comes before the token in a subprotocol', async () => {
  const { port, reviews } = await serve({ node: { console: async () => new FakeGuest() } })
  const token = `base64url.bearer.authorization.k8s.io.${Buffer.from('bob').toString('base64url')}`
  await once(dial(port, CONSOLE, [token, 'plain.kubevirt.io']), 'open')
  expect(reviews[0]?.user.name).toBe('alice')
})

test.each([
  ['wrong', Buffer.from('bad').toString('base64url')],
  ['malformed', '!!!'],
])('a %s token in a subprotocol is 401', async (_what, encoded) => {
  const { port } = await serve({ node: {} })
  const answer = await raw(
    port,
    handshake({
      'Sec-WebSocket-Protocol': `base64url.bearer.authorization.k8s.io.${encoded}, plain.kubevirt.io`,
      Authorization: undefined,
    }),
  )
  expect(answer).toMatch(/^HTTP\/1.1 401 /)
})

test.each([
  ['nobody who is known', { headers: {} }, 401, 'Unauthorized'],
  ['somebody with a wrong token', { headers: { authorization: 'Bearer bad' } }, 401, 'Unauthorized'],
])('%s gets no console', async (_who, options, code, reason) => {
  const { port } = await serve({ node: {} })
  const refusal = await refusalOf(dial(port, CONSOLE, [], options))
  expect(refusal).toMatchObject({ code, body: { code, reason } })
})

test('who may not is told so, and the guest is not touched', async () => {
  const { port } = await serve(
    { node: {} },
    { authorizer: { review: async () => ({ allowed: false, reason: '' }) } },
  )
  const { code, body } = await refusalOf(dial(port, CONSOLE))
  expect(code).toBe(403)
  expect(body.message).toBe(
    'virtualmachineinstances.subresources.kubevirt.io "vm1" is forbidden: User "alice" cannot get resource "virtualmachineinstances/console" in API group "subresources.kubevirt.io" in the namespace "ns1"',
  )
})

test.each([
  ['does not run yet', vmiOf('Scheduled'), 400, 'BadRequest'],
  ['has failed', vmiOf('Failed'), 409, 'Conflict'],
  [
    'has no serial console',
    vmiOf('Running', { spec: { domain: { devices: { autoattachSerialConsole: false } } } }),
    400,
    'BadRequest',
  ],
  ['is on a node that is gone', vmiOf('Running', { status: { nodeName: 'n2' } }), 503, 'ServiceUnavailable'],
])('console of a guest that %s', async (_state, vmi, code, reason) => {
  const { port } = await serve({ vmi, node: {} })
  expect(await refusalOf(dial(port, CONSOLE))).toMatchObject({ code, body: { code, reason } })
})

test.each([
  ['does not run', vmiOf('Scheduled'), 400],
  [
    'has no display',
    vmiOf('Running', { spec: { domain: { devices: { autoattachGraphicsDevice: false } } } }),
    400,
  ],
])('vnc of a guest that %s', async (_state, vmi, code) => {
  const { port } = await serve({ vmi, node: {} })
  expect(await refusalOf(dial(port, VNC))).toMatchObject({ code })
})

test.each([
  ['?preserveSession=true', true],
  ['?preserveSession=1', true],
  ['?preserveSession=maybe', false],
  ['', false],
])('vnc%s', async (query, preserveSession) => {
  const seen: unknown[] = []
  const { port } = await serve({
    node: {
      vnc: async (_guest, options) => {
        seen.push(options)
        return new FakeGuest()
      },
    },
  })
  await once(dial(port, VNC + query), 'open')
  expect(seen).toEqual([{ preserveSession, maxSessions: 1, user: 'alice' }])
})

test('a display that is in use and is to be preserved is 409', async () => {
  const busy = inUse('in use')
  const { port } = await serve({ node: { vnc: () => Promise.reject(busy) } })
  expect(await refusalOf(dial(port, `${VNC}?preserveSession=true`))).toMatchObject({ code: 409 })
})

test('a node that fails is 500 and shows what the node said', async () => {
  const { port } = await serve({
    node: { console: () => Promise.reject(new StatusError(404, 'NotFound', 'no guest u1')) },
  })
  const { code, body } = await refusalOf(dial(port, CONSOLE))
  expect(code).toBe(500)
  expect(body.message).toContain('404: no guest u1')
})

const HANDSHAKE = {
  Host: 'localhost',
  Authorization: 'Bearer alice',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
}

function handshake(
  change: Record<string, string | undefined> = {},
  line = `GET ${CONSOLE} HTTP/1.1`,
): string {
  const headers = Object.entries({ ...HANDSHAKE, ...change }).filter(([, value]) => value !== undefined)
  return `${[line, ...headers.map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n`
}

/** What the server answers to bytes, until it closes or half a second passes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  socket.on('error', () => {})
  socket.write(bytes)
  await Promise.race([once(socket, 'close'), sleep(500)])
  socket.destroy()
  return text
}

test('what a client sends together with its handshake is not lost', async () => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  // A final binary frame of two bytes, masked with zeros.
  const frame = Buffer.from([0x82, 0x82, 0, 0, 0, 0, 0x68, 0x69])
  socket.write(Buffer.concat([Buffer.from(handshake()), frame]))
  await once(guest, 'got')
  expect(guest.text()).toBe('hi')
  socket.destroy()
})

test.each([
  ['no upgrade', { Connection: undefined, Upgrade: undefined }, 400],
  ['no Connection', { Connection: undefined }, 400],
  ['another upgrade', { Upgrade: 'h2c' }, 426],
  ['an old version', { 'Sec-WebSocket-Version': '8' }, 400],
  ['no version', { 'Sec-WebSocket-Version': undefined }, 400],
  ['no key', { 'Sec-WebSocket-Key': undefined }, 400],
  ['a bad key', { 'Sec-WebSocket-Key': 'abc' }, 400],
  ['a bad list of protocols', { 'Sec-WebSocket-Protocol': 'a, a' }, 400],
])('a handshake with %s is refused before anybody is disturbed', async (_what, change, code) => {
  const { port } = await serve({ node: {} })
  const answer = await raw(port, handshake(change))
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${code} `))
  expect(answer.toLowerCase()).toContain('sec-websocket-version: 13')
  expect(answer.toLowerCase()).toContain('content-type: application/json')
  expect(answer).toContain(`"code":${code}`)
  expect(/^upgrade: websocket/im.test(answer)).toBe(code === 426)
})

test.each([
  ['is for an unknown guest', { line: `GET ${BASE}/virtualmachineinstances/nobody/console HTTP/1.1` }],
  ['shows no credentials', { change: { Authorization: undefined } }],
  ['is malformed', { change: { 'Sec-WebSocket-Key': 'abc' } }],
  ['is for what is no stream', { line: `PUT ${BASE}/virtualmachineinstances/vm1/pause HTTP/1.1` }],
  ['is for nothing', { line: 'GET /nothing HTTP/1.1' }],
])('after an upgrade that %s, nothing more is read from the connection', async (_why, given) => {
  const asked: string[] = []
  const { port } = await serve({ node: { pause: async () => void asked.push('pause') } })
  const { change = {}, line } = given as { change?: Record<string, undefined>; line?: string }
  const second = `PUT ${BASE}/virtualmachineinstances/vm1/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 0\r\n\r\n`
  const answer = await raw(port, handshake(change, line) + second)
  expect(answer.match(/^HTTP\/1.1 /gm)).toHaveLength(1)
  expect(answer).toMatch(/^HTTP\/1.1 4/)
  expect(asked).toEqual([])
})

test('pages of other origins open no stream', async () => {
  const { port } = await serve(
    { node: { console: async () => new FakeGuest() } },
    { allowedOrigins: ['https://ok.example'] },
  )
  const from = (origin: string) => dial(port, CONSOLE, [], { headers: { ...ALICE, origin } })
  expect(await refusalOf(from('https://evil.example'))).toMatchObject({ code: 403 })
  await once(from('https://ok.example'), 'open')
  await once(from(`https://127.0.0.1:${port}`), 'open')
})

test('the server tells its clients when it goes away', async () => {
  const guest = new FakeGuest()
  const { port, app } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  const closed = once(socket, 'close')
  await app.close()
  expect((await closed)[0]).toBe(1001)
  expect(guest.destroyed).toBe(true)
})

test('too many streams are refused with 429', async () => {
  const { port } = await serve(
    { node: { console: async () => new FakeGuest() } },
    { limits: { maxSessions: 1 } },
  )
  await once(dial(port, CONSOLE), 'open')
  await sleep(50)
  expect(await refusalOf(dial(port, CONSOLE))).toMatchObject({
    code: 429,
    body: { reason: 'TooManyRequests' },
  })
})

/** A clock whose timers run when they are told to. */
function manualClock(): Clock & { fire(): void } {
  const timers = new Set<() => void>()
  return {
    now: () => 0,
    after(_delayMs, run) {
      timers.add(run)
      return { [Symbol.dispose]: () => void timers.delete(run) }
    },
    fire() {
      const due = [...timers]
      timers.clear()
      for (const run of due) run()
    },
  }
}

test('a client that answers no ping is cut off', async () => {
  const guest = new FakeGuest()
  const clock = manualClock()
  const { port } = await serve({ node: { console: async () => guest } }, { clock })
  const socket = dial(port, CONSOLE, [], { autoPong: false })
  await once(socket, 'open')
  await sleep(50)
  clock.fire()
  await once(socket, 'ping')
  clock.fire()
  await once(socket, 'ping')
  expect(guest.destroyed).toBe(false)
  clock.fire()
  expect((await once(socket, 'close'))[0]).toBe(1006)
  expect(guest.destroyed).toBe(true)
})

test('a message that is too large ends the stream with 1009', async () => {
  const guest = new FakeGuest()
  const { port } = await serve({ node: { console: async () => guest } })
  const socket = dial(port, CONSOLE)
  await once(socket, 'open')
  socket.on('error', () => {})
  socket.send(Buffer.alloc(600 * 1024))
  expect((await once(socket, 'close'))[0]).toBe(1009)
  await sleep(50)
  expect(guest.destroyed).toBe(true)
})

test('a client that leaves while the node is dialled leaves nothing open', async () => {
  const guest = new FakeGuest()
  const dialling = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const { port } = await serve({
    node: {
      console: async () => {
        dialling.resolve()
        await go.promise
        return guest
      },
    },
  })
  const socket = dial(port, CONSOLE)
  socket.on('error', () => {})
  await dialling.promise
  socket.terminate()
  await sleep(50)
  go.resolve()
  await sleep(50)
  expect(guest.destroyed).toBe(true)
})
