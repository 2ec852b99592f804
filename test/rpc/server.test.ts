import { once } from 'node:events'
import { createServer, request as httpsRequest, type Server } from 'node:https'
import { createServer as createTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { roleUri, type InternalRole } from '../../certs/roles.ts'
import { connectNode, type NodeClient } from '../../src/rpc/client.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { WorkerUnreachable } from '../../src/rpc/unreachable.ts'
import type { RpcTls } from '../../src/rpc/wire.ts'
import { memoryLog } from '../helpers/api.ts'
import { hasIpv6 } from '../helpers/ipv6.ts'
import { RecordingWorker, GUEST, INFO, reportOf, syncOf } from '../helpers/recording-worker.ts'
import { makeAuthority, rsaPair, type TestAuthority } from '../helpers/pki.ts'

const ROLES = {
  controller: { role: 'controller' },
  apiserver: { role: 'apiserver' },
  'worker n1': { role: 'worker', node: 'n1' },
  'worker n2': { role: 'worker', node: 'n2' },
} satisfies Record<string, InternalRole>
type RoleName = keyof typeof ROLES

let authority: TestAuthority
let other: TestAuthority
const tls = new Map<RoleName, RpcTls>()
const tlsOf = (name: RoleName): RpcTls => {
  const found = tls.get(name)
  if (!found) throw new Error(`no certificate for ${name}`)
  return found
}

async function certify(
  by: TestAuthority,
  role: InternalRole,
  change: Partial<Parameters<TestAuthority['issue']>[0]> = {},
) {
  return { ...(await by.issue({ usage: 'both', uris: [roleUri(role)], ...change })), ca: authority.cert }
}

beforeAll(async () => {
  authority = await makeAuthority()
  other = await makeAuthority('another authority')
  // The keys are those of the object above.
  for (const name of Object.keys(ROLES) as RoleName[]) tls.set(name, await certify(authority, ROLES[name]))
})

const open: AsyncDisposable[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]()
})

const WRITE = { mode: 'write', preserveSession: false, user: 'alice' } as const
const CALLERS = [roleUri(ROLES.controller), roleUri(ROLES.apiserver)]

async function serve(worker = new RecordingWorker(), serving = tlsOf('worker n1'), host = '127.0.0.1') {
  const log = memoryLog()
  const server = buildRpcServer({ actions: worker, tls: serving, allowedUris: CALLERS, log })
  open.push(server)
  const sockets = new Set<Duplex>()
  server.server.on('secureConnection', (socket: Duplex) => sockets.add(socket))
  const die = () => {
    server.server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { worker, log, server, die, port: await server.listen(0, host) }
}

async function listen(server: Server | ReturnType<typeof createTcp>): Promise<number> {
  const sockets = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return address.port
}

function connect(
  port: number,
  as: RpcTls = tlsOf('controller'),
  node = 'n1',
  address = '127.0.0.1',
): NodeClient {
  const client = connectNode({
    address,
    port,
    tls: as,
    serverUri: roleUri({ role: 'worker', node }),
    log: memoryLog(),
  })
  open.push(client)
  return client
}

test.skipIf(!hasIpv6)('a worker at an IPv6 address is called, listened to and streams', async () => {
  const { port } = await serve(new RecordingWorker(), tlsOf('worker n1'), '::1')
  const client = connect(port, tlsOf('controller'), 'n1', '::1')
  expect(await client.info()).toEqual(INFO)
  for await (const update of client.watch(new AbortController().signal)) {
    expect(update.type).toBe('snapshot')
    break
  }
  const stream = await client.console(GUEST, WRITE)
  stream.destroy()
})

describe('E1, E2: who may call whom', () => {
  test.each(['controller', 'apiserver'] as const)('%s may call worker n1', async (caller) => {
    const { port } = await serve()
    const client = connect(port, tlsOf(caller))
    expect(await client.info()).toEqual(INFO)
    const stream = await client.console(GUEST, WRITE)
    stream.destroy()
  })

  test.each([
    ['worker n1', 'worker n1'],
    ['worker n2', 'worker n1'],
    ['controller', 'worker n2'],
    ['controller', 'controller'],
    ['apiserver', 'controller'],
    ['worker n2', 'apiserver'],
  ] as const)('%s is not served by what should be worker n1 and is %s', async (caller, server) => {
    const { worker, port } = await serve(new RecordingWorker(), tlsOf(server))
    const client = connect(port, tlsOf(caller))
    await expect(client.info()).rejects.toThrow()
    await expect(client.console(GUEST, WRITE)).rejects.toThrow()
    expect(worker.asked).toEqual([])
  })

  test.each([
    ['signed by another authority', () => certify(other, ROLES.controller)],
    ['for serving only', () => certify(authority, ROLES.controller, { usage: 'server' })],
    ['without a role', () => certify(authority, ROLES.controller, { uris: [] })],
    [
      'with a role in its common name',
      () => certify(authority, ROLES.controller, { uris: [], commonName: CALLERS[0] ?? '' }),
    ],
    ['with a longer role', () => certify(authority, ROLES.controller, { uris: [`${CALLERS[0]}/x`] })],
    [
      'that has expired',
      () => certify(authority, ROLES.controller, { now: new Date(Date.now() - 3 * 86_400_000), days: 1 }),
    ],
    [
      'that is not valid yet',
      () => certify(authority, ROLES.controller, { now: new Date(Date.now() + 43_200_000) }),
    ],
  ])('a caller with a certificate %s is refused', async (_what, make) => {
    const { worker, port } = await serve()
    await expect(connect(port, await make()).info()).rejects.toThrow()
    expect(worker.asked).toEqual([])
  })

  test.each([
    ['signed by another authority', () => certify(other, ROLES['worker n1'])],
    ['for calling only', () => certify(authority, ROLES['worker n1'], { usage: 'client' })],
    [
      'that has expired',
      () => certify(authority, ROLES['worker n1'], { now: new Date(Date.now() - 3 * 86_400_000), days: 1 }),
    ],
    [
      'with the address instead of the role',
      () => certify(authority, ROLES['worker n1'], { uris: [], ipAddresses: ['127.0.0.1'] }),
    ],
  ])('a worker with a certificate %s is not called', async (_what, make) => {
    const { worker, port } = await serve(new RecordingWorker(), await make())
    await expect(connect(port).info()).rejects.toBeInstanceOf(WorkerUnreachable)
    expect(worker.asked).toEqual([])
  })

  test.each([
    [2048, true],
    [1024, false],
  ])('E2: a caller with an RSA key of %i bits gets in: %s', async (bits, isIn) => {
    const { port } = await serve()
    const pair = await rsaPair(authority, 'test', bits, CALLERS[0])
    // This side would not show a weak one.
    const ciphers = 'DEFAULT:@SECLEVEL=0'
    expect(await isAnswered(port, { ca: authority.cert, ...pair, ciphers })).toBe(isIn)
  })

  test('E5: nobody gets in without a certificate or with TLS 1.2', async () => {
    const { port } = await serve()
    const { cert, key, ca } = tlsOf('controller')
    for (const options of [{ ca }, { ca, cert, key, maxVersion: 'TLSv1.2' as const }]) {
      expect(await isAnswered(port, options)).toBe(false)
    }
    expect(await isAnswered(port, { ca, cert, key })).toBe(true)
  })
})

async function isAnswered(port: number, options: ConnectionOptions): Promise<boolean> {
  const socket = connectTls({ port, host: '127.0.0.1', checkServerIdentity: () => undefined, ...options })
  socket.on('error', () => {})
  socket.on('secureConnect', () =>
    socket.write('GET /w/v1/info HTTP/1.1\r\nHost: x\r\nvirtgate-rpc: 1\r\n\r\n'),
  )
  let text = ''
  socket.on('data', (chunk) => {
    text += String(chunk)
    socket.destroy()
  })
  await new Promise((resolve) => socket.on('close', resolve))
  socket.destroy()
  return text.startsWith('HTTP/1.1 200')
}

/** Asks as the controller, with what its own client would never send. */
async function ask(
  port: number,
  {
    method = 'GET',
    path,
    headers = {},
    body,
  }: { method?: string; path: string; headers?: Record<string, string>; body?: string | Buffer },
): Promise<{ code: number; text: string }> {
  const request = httpsRequest({
    ...tlsOf('controller'),
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: false,
    checkServerIdentity: () => undefined,
    headers: { 'virtgate-rpc': '1', ...headers },
  })
  request.on('error', () => {})
  request.end(body)
  const [response] = await once(request, 'response')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { code: response.statusCode, text }
}

const VMI = `/w/v1/vmis/${GUEST.uid}`

test.each([
  ['an unknown path', { path: '/w/v1/other' }, 404],
  ['an unknown method', { path: '/w/v1/info', method: 'POST' }, 404],
  ['a UID that is a path', { path: '/w/v1/vmis/../other' }, 404],
  ['a UID with odd characters', { path: '/w/v1/vmis/a%2fb' }, 404],
  ['a braced UID', { path: '/w/v1/vmis/{uid}' }, 404],
  ['another version', { path: '/w/v1/info', headers: { 'virtgate-rpc': '99' } }, 400],
  ['a body that is no JSON', { path: VMI, method: 'PUT', body: 'x' }, 400],
  ['a body that is no request', { path: VMI, method: 'PUT', body: '{}' }, 400],
  [
    'a body for another guest',
    { path: '/w/v1/vmis/other', method: 'PUT', body: JSON.stringify(syncOf(GUEST)) },
    400,
  ],
  ['a body of 17 MiB', { path: VMI, method: 'PUT', body: Buffer.alloc(17 * 1024 * 1024, 'x') }, 413],
  ['no grace period', { path: VMI, method: 'DELETE' }, 400],
  ['a negative grace period', { path: `${VMI}?graceSeconds=-1`, method: 'DELETE' }, 400],
  ['a stream that is no upgrade', { path: `${VMI}/console` }, 426],
  [
    'an upgrade to something else',
    { path: `${VMI}/console`, headers: { connection: 'Upgrade', upgrade: 'websocket' } },
    400,
  ],
  [
    'an upgrade of a call',
    { path: `${VMI}/pause`, method: 'POST', headers: { connection: 'Upgrade', upgrade: 'virtgate-raw/1' } },
    400,
  ],
  ['a session that never was', { path: '/w/v1/sessions/x' }, 404],
])('%s is refused with a Status', async (_what, call, code) => {
  const { worker, port } = await serve()
  const answer = await ask(port, call)
  expect(answer.code).toBe(code)
  expect(JSON.parse(answer.text)).toMatchObject({ kind: 'Status', code })
  expect(worker.asked).toEqual([])
})

test.each(['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'])('E8: %s counts for nothing', async (name) => {
  const { port } = await serve()
  // Nobody listens there.
  vi.stubEnv(name, 'http://127.0.0.1:9')
  const client = connect(port)
  expect(await client.info()).toEqual(INFO)
  const stream = await client.console(GUEST, WRITE)
  stream.destroy()
})

test('E8: where a worker redirects to, nobody goes', async () => {
  const { worker, port: elsewhere } = await serve()
  const location = `https://127.0.0.1:${elsewhere}/w/v1/info`
  const server = createServer({ ...tlsOf('worker n1'), requestCert: true }, (_request, response) =>
    response.writeHead(307, { location }).end(),
  )
  await expect(connect(await listen(server)).info()).rejects.toThrow()
  expect(worker.asked).toEqual([])
})

test('a request behind a refused upgrade is never served', async () => {
  const { worker, port } = await serve()
  const socket = connectTls({
    ...tlsOf('controller'),
    port,
    host: '127.0.0.1',
    checkServerIdentity: () => undefined,
  })
  await once(socket, 'secureConnect')
  const head = (line: string, ...more: string[]) =>
    [line, 'Host: x', 'virtgate-rpc: 1', ...more, '', ''].join('\r\n')
  const options = new URLSearchParams({ options: JSON.stringify(WRITE) }).toString()
  socket.write(
    head(
      `GET /w/v1/vmis/unknown/console?${options} HTTP/1.1`,
      'Connection: Upgrade',
      'Upgrade: virtgate-raw/1',
    ) + head('GET /w/v1/info HTTP/1.1'),
  )
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  await once(socket, 'close')
  expect(text.match(/HTTP\/1.1 /g)).toHaveLength(1)
  expect(worker.asked).toEqual([['console', { uid: 'unknown', namespace: '', name: '' }, WRITE]])
})

test('a guest as large as a message may be gets through', async () => {
  const { worker, port } = await serve()
  const request = syncOf(GUEST, 'x'.repeat(3 * 1024 * 1024))
  await connect(port).sync(request)
  expect(worker.asked).toEqual([['sync', request]])
})

test('new certificates are used without losing what is open', async () => {
  const { server, port } = await serve()
  const client = connect(port)
  const stream = await client.console(GUEST, WRITE)
  const renewed = await makeAuthority('next authority')
  const issueNext = async (role: InternalRole): Promise<RpcTls> => ({
    ...(await renewed.issue({ usage: 'both', uris: [roleUri(role)] })),
    ca: renewed.cert,
  })
  server.reload(await issueNext(ROLES['worker n1']))
  client.reload(await issueNext(ROLES.controller))
  expect(await client.info()).toEqual(INFO)
  stream.write('still there')
  expect(String((await once(stream, 'data'))[0])).toBe('still there')
  await expect(connect(port).info()).rejects.toBeInstanceOf(WorkerUnreachable)
})

test('a worker that is gone is named, with the cause', async () => {
  const { die, port } = await serve()
  die()
  const error = await connect(port)
    .info()
    .catch((error: unknown) => error)
  expect(error).toBeInstanceOf(WorkerUnreachable)
  expect(error).toMatchObject({ code: 503, cause: { code: 'ECONNREFUSED' } })
  expect(String(error)).toContain('spiffe://virtgate/worker/n1')
})

test('a stream whose worker dies breaks instead of ending', async () => {
  const { die, port } = await serve()
  const stream: Duplex = await connect(port).console(GUEST, WRITE)
  stream.resume()
  const ended = once(stream, 'end')
  die()
  await expect(ended).rejects.toBeInstanceOf(WorkerUnreachable)
})

test('a watch whose worker dies does not hang', async () => {
  const { die, port } = await serve()
  const follow = async () => {
    for await (const _update of connect(port).watch(new AbortController().signal)) die()
    return undefined
  }
  const error = await follow().catch((error: unknown) => error)
  expect(error ?? new WorkerUnreachable('', '', 'ended')).toBeInstanceOf(WorkerUnreachable)
})

test('a call on a connection that breaks is made once more, if that does no harm', async () => {
  const worker = new RecordingWorker()
  let breaks = 0
  const server = createServer({ ...tlsOf('worker n1'), requestCert: true }, (request, response) => {
    if (breaks > 0) {
      breaks -= 1
      request.socket.destroy()
      return
    }
    worker.asked.push(`${request.method} ${request.url?.split('?')[0]}`)
    response.end(request.url?.includes('info') ? JSON.stringify(INFO) : '{}')
  })
  const port = await listen(server)
  const client = connect(port)
  breaks = 1
  expect(await client.info()).toEqual(INFO)
  breaks = 1
  await client.pause(GUEST)
  breaks = 1
  await expect(client.reset(GUEST)).rejects.toBeInstanceOf(WorkerUnreachable)
  breaks = 2
  await expect(client.info()).rejects.toBeInstanceOf(WorkerUnreachable)
  expect(worker.asked).toEqual(['GET /w/v1/info', `POST ${VMI}/pause`])
})

test.each([
  ['no report', '{}'],
  ['no JSON', 'hello'],
  ['too long', JSON.stringify({ ...reportOf(GUEST), message: 'x'.repeat(17 * 1024 * 1024) })],
])('an answer that is %s is not believed', async (_what, text) => {
  const server = createServer({ ...tlsOf('worker n1'), requestCert: true }, (_request, response) =>
    response.end(text),
  )
  await expect(connect(await listen(server)).report(GUEST)).rejects.toBeInstanceOf(WorkerUnreachable)
})

test('a worker that never answers is given up after a while', async () => {
  const client = connectNode({
    address: '127.0.0.1',
    port: await listen(createTcp(() => {})),
    tls: tlsOf('controller'),
    serverUri: roleUri(ROLES['worker n1']),
    log: memoryLog(),
    timeoutMs: 100,
  })
  open.push(client)
  await expect(client.info()).rejects.toBeInstanceOf(WorkerUnreachable)
  await expect(client.console(GUEST, WRITE)).rejects.toBeInstanceOf(WorkerUnreachable)
})

test('a worker that shuts down says so to those on its streams, and waits for nobody', async () => {
  const { server, port } = await serve()
  const client = connect(port)
  const stream = await client.console(GUEST, WRITE)
  stream.resume()
  const told = once(stream, 'close').catch((error: unknown) => error)
  const watching = (async () => {
    for await (const _update of client.watch(new AbortController().signal)) continue
  })().catch((error: unknown) => error)
  await sleep(50)
  const started = Date.now()
  await server[Symbol.asyncDispose]()
  expect(Date.now() - started).toBeLessThan(2000)
  expect(await told).toMatchObject({ name: 'StreamEnded', reason: 'draining' })
  await watching
})

test('a client that is closed ends what it had open, and takes nothing new', async () => {
  const { worker, port } = await serve()
  const stop = new AbortController()
  const client = connectNode({
    address: '127.0.0.1',
    port,
    tls: tlsOf('controller'),
    serverUri: roleUri(ROLES['worker n1']),
    log: memoryLog(),
    signal: stop.signal,
  })
  open.push(client)
  const stream = await client.console(GUEST, WRITE)
  const watched: string[] = []
  const watching = (async () => {
    for await (const { type } of client.watch(new AbortController().signal)) watched.push(type)
  })()
  while (watched.length === 0) await sleep(5)
  stop.abort()
  await watching
  expect(watched).toEqual(['snapshot'])
  expect(stream.destroyed).toBe(true)
  await expect(client.info()).rejects.toThrow()
  while (worker.watchers > 0 || !worker.streams[0]?.destroyed) await sleep(5)
})
