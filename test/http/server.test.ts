import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { text as readText } from 'node:stream/consumers'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import type { User } from '../../src/auth/access.ts'
import { unionAuthenticator } from '../../src/auth/authenticate.ts'
import { buildCertificateAuthenticator } from '../../src/auth/client-certificate.ts'
import { reloadTls } from '../../src/http/tls.ts'
import { ALICE, apiOf, BASE, byToken, vmOf, type TestApi } from '../helpers/api.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'

let authority: TestAuthority
let pair: KeyPair
beforeAll(async () => {
  authority = await makeAuthority()
  pair = await servingPair(authority)
})

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

function api(...[given = {}, options = {}]: Partial<Parameters<typeof apiOf>>): TestApi {
  const made = apiOf(given, options)
  open.push(made.app)
  return made
}

async function listen(made: TestApi): Promise<number> {
  await made.app.listen({ port: 0, host: '127.0.0.1' })
  const address = made.app.server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return address.port
}

const START = `${BASE}/virtualmachines/vm1/start`

describe('who is asking', () => {
  test.each([
    ['nobody', {}],
    ['a wrong token', { authorization: 'Bearer bad' }],
    ['another scheme', { authorization: 'Basic YWxpY2U6' }],
    [
      'identity headers that nobody vouches for',
      { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' },
    ],
  ])('%s is 401 with a Status', async (_who, headers) => {
    const { app, reviews, patches } = api({ vm: vmOf() })
    for (const url of [START, '/nothing', `${BASE}/virtualmachineinstances/vm1/console`]) {
      const response = await app.inject({ method: url === START ? 'PUT' : 'GET', url, headers })
      expect(response.json()).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 })
      expect(response.statusCode).toBe(401)
    }
    expect([reviews, patches]).toEqual([[], []])
  })

  test('the user is whom impersonation makes of the caller', async () => {
    const bob: User = { name: 'bob', groups: ['g'] }
    const { app, reviews } = api(
      { vm: vmOf() },
      { impersonate: async (user) => (user.name === 'alice' ? bob : user) },
    )
    await app.inject({ method: 'PUT', url: START, headers: ALICE })
    expect(reviews.map(({ user }) => user)).toEqual([bob])
  })

  test('client certificates are asked for and never fail the handshake', async () => {
    const certificates = buildCertificateAuthenticator(() => authority.cert)
    const made = api(
      { vm: vmOf() },
      { tls: pair, authenticator: unionAuthenticator([certificates, byToken]) },
    )
    const port = await listen(made)
    const other = await makeAuthority('another authority')
    const carol = await authority.issue({ usage: 'client', commonName: 'carol', organizations: ['staff'] })
    const ask = async (identity: Partial<KeyPair>) => {
      const session = await http2(port, identity)
      const first = await call(session, { ':method': 'PUT', ':path': START })
      const second = await call(session, { ':method': 'PUT', ':path': START })
      expect(second.code === 401).toBe(first.code === 401)
      return first.code
    }
    expect(await ask(carol)).toBe(202)
    expect(made.reviews[0]?.user).toMatchObject({ name: 'carol', groups: ['staff', 'system:authenticated'] })
    expect(await ask({})).toBe(401)
    expect(await ask(await other.issue({ usage: 'client', commonName: 'carol' }))).toBe(401)
    expect(await ask(await authority.issue({ usage: 'server', commonName: 'carol' }))).toBe(401)
  })
})

describe('whether they may', () => {
  test('a denial is 403 in the words of kube-apiserver', async () => {
    const denied = { review: async () => ({ allowed: false, reason: 'no role' }) }
    const { app, patches } = api({ vm: vmOf() }, { authorizer: denied })
    const response = await app.inject({ method: 'PUT', url: START, headers: ALICE })
    expect(response.json()).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'virtualmachines.subresources.kubevirt.io "vm1" is forbidden: User "alice" cannot update resource "virtualmachines/start" in API group "subresources.kubevirt.io" in the namespace "ns1": no role',
      reason: 'Forbidden',
      details: { name: 'vm1', group: 'subresources.kubevirt.io', kind: 'virtualmachines' },
      code: 403,
    })
    expect(patches).toEqual([])
  })

  test('B4: an authorizer that fails refuses, and tells its trouble to the log alone', async () => {
    const broken = { review: () => Promise.reject(new Error('secret')) }
    const { app, log, patches } = api({ vm: vmOf() }, { authorizer: broken })
    const response = await app.inject({ method: 'PUT', url: START, headers: ALICE })
    expect(response.json()).toMatchObject({ kind: 'Status', reason: 'InternalError', code: 500 })
    expect(response.body).not.toContain('secret')
    const errors = log.lines.filter(({ level }) => level === 'error')
    expect(errors).toMatchObject([{ fields: { err: new Error('secret') } }])
    expect(patches).toEqual([])
  })

  test('B2: a route that does not say who may call it is not taken', () => {
    const { app } = api()
    expect(() => app.get('/forgotten', async () => 'x')).toThrow('GET /forgotten does not say')
  })
})

describe('what is there', () => {
  test.each([
    '/nothing',
    '/apis/subresources.kubevirt.io/v2/namespaces/ns1/virtualmachines/vm1/start',
    `${START}/`,
    `${START}//`,
    `/${START}`,
    START.replace('/namespaces', '//namespaces'),
    START.replace('vm1', '%2e%2e'),
    START.replace('vm1', 'a%2fb'),
    START.toUpperCase(),
    `${BASE}/virtualmachines/vm1/other`,
    `${BASE}/virtualmachines/vm1/console`,
  ])('%s is 404 with a Status, and no redirection', async (url) => {
    const { app, reviews } = api({ vm: vmOf() })
    const response = await app.inject({ method: 'PUT', url, headers: ALICE })
    expect(response.json()).toMatchObject({ kind: 'Status', reason: 'NotFound', code: 404 })
    expect(response.headers).not.toHaveProperty('location')
    expect(reviews).toEqual([])
  })

  test('a path that cannot be decoded is 400 with a Status', async () => {
    const { app } = api()
    const response = await app.inject({ url: '/apis/%zz', headers: ALICE })
    expect(response.json()).toMatchObject({ kind: 'Status', code: 400 })
  })

  test('names may be as long as Kubernetes allows', async () => {
    const { app } = api()
    const name = 'x'.repeat(253)
    const response = await app.inject({ method: 'PUT', url: START.replace('vm1', name), headers: ALICE })
    expect(response.json()).toMatchObject({ code: 404, details: { name } })
  })
})

describe('what is sent', () => {
  test.each([
    ['no media type', {}],
    ['any media type', { 'content-type': 'text/x-anything' }],
    ['a malformed media type', { 'content-type': ';;;' }],
    ['a client that takes JSON alone', { accept: 'application/json' }],
    ['a client that takes YAML alone', { accept: 'application/yaml' }],
  ])('an action is served with %s', async (_what, headers) => {
    const { app, patches } = api({ vm: vmOf({ runStrategy: 'Manual' }) })
    const response = await app.inject({
      method: 'PUT',
      url: START,
      headers: { ...ALICE, ...headers },
      payload: Buffer.from('{"paused":true}'),
    })
    expect(response.statusCode).toBe(202)
    expect(JSON.stringify(patches)).toContain('"paused":"true"')
  })

  test('a body that is too large is 413 with a Status', async () => {
    const { app } = api({ vm: vmOf() })
    const response = await app.inject({
      method: 'PUT',
      url: START,
      headers: ALICE,
      payload: Buffer.alloc(300 * 1024, ' '),
    })
    expect(response.json()).toMatchObject({ kind: 'Status', reason: 'RequestEntityTooLarge', code: 413 })
  })

  test('every answer forbids guessing at its type', async () => {
    const { app } = api({ vm: vmOf() })
    for (const url of [START, '/nothing']) {
      const response = await app.inject({ method: 'PUT', url, headers: ALICE })
      expect(response.headers['x-content-type-options']).toBe('nosniff')
    }
  })
})

async function http2(port: number, options: ConnectionOptions = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.cert, ...options })
  open.push({ close: () => session.destroy() })
  await once(session, 'connect')
  return session
}

async function call(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string) {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  const [head] = await once(stream, 'response')
  return { code: head[':status'], body: await readText(stream) }
}

describe('over TLS', () => {
  test('HTTP/2 clients are served, bodies without a length and a type included', async () => {
    const made = api({ vm: vmOf({ runStrategy: 'Manual' }) }, { tls: pair })
    const session = await http2(await listen(made))
    const put = { ':method': 'PUT', ':path': START, ...ALICE }
    expect(await call(session, put, '{"paused":true}')).toEqual({ code: 202, body: '' })
    expect(JSON.stringify(made.patches)).toContain('"paused":"true"')
    expect((await call(session, { ...put, ':path': '/nothing' })).code).toBe(404)
    expect((await call(session, { ...put, authorization: 'Bearer bad' })).code).toBe(401)
    const stream = { ':path': `${BASE}/virtualmachineinstances/vm1/console`, ...ALICE }
    expect((await call(session, stream)).code).toBe(400)
  })

  test('HTTP/1.1 clients are served on the same port, several requests to a connection', async () => {
    const made = api({ vm: vmOf({ runStrategy: 'Manual' }) }, { tls: pair })
    const socket = await dial(await listen(made))
    const request = (path: string) =>
      `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 2\r\n\r\n{}`
    socket.write(request('/nothing') + request(START))
    let answer = ''
    for await (const chunk of socket) {
      answer += String(chunk)
      if (answer.includes(' 202 ')) break
    }
    expect(answer).toMatch(/^HTTP\/1.1 404 [^]*HTTP\/1.1 202 /)
  })

  test('what is no HTTP is answered with a Status and cut off', async () => {
    const socket = await dial(await listen(api({}, { tls: pair })))
    socket.write('HELO\r\n\r\n')
    const answer = await readText(socket)
    expect(answer).toMatch(/^HTTP\/1.1 400 /)
    expect(answer).toContain('"kind":"Status"')
  })

  test('two lengths of one body are refused, and nothing behind them is read', async () => {
    const made = api({ vm: vmOf() }, { tls: pair })
    const socket = await dial(await listen(made))
    socket.write(
      `PUT ${START} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT ${START} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 0\r\n\r\n`,
    )
    expect(await readText(socket)).toMatch(/^HTTP\/1.1 400 /)
    expect(made.patches).toEqual([])
  })

  test('a new pair is served from the next handshake on, and open connections live on', async () => {
    const made = api({ vm: vmOf({ runStrategy: 'Manual' }) }, { tls: pair })
    const port = await listen(made)
    const session = await http2(port)
    const next = await makeAuthority('next authority')
    const renewed = await servingPair(next)
    reloadTls(made.app, renewed)
    const put = { ':method': 'PUT', ':path': START, ...ALICE }
    expect((await call(session, put)).code).toBe(202)
    const socket = await dial(port, { ca: next.cert })
    expect(socket.getPeerX509Certificate()?.toString()).toBe(renewed.cert)
    socket.destroy()
  })

  test('TLS 1.1 is not spoken', async () => {
    const port = await listen(api({}, { tls: pair }))
    await expect(dial(port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })).rejects.toThrow()
  })

  test('requests that never end are given up', () => {
    const { app } = api({}, { tls: pair })
    expect(app.server).toMatchObject({
      headersTimeout: 10_000,
      requestTimeout: 60_000,
      keepAliveTimeout: 60_000,
    })
  })

  test('closing does not wait for idle clients', async () => {
    const made = api({}, { tls: pair })
    const port = await listen(made)
    await http2(port)
    await dial(port)
    const started = Date.now()
    await made.app.close()
    expect(Date.now() - started).toBeLessThan(2000)
  })
})

async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ca: authority.cert,
    ALPNProtocols: ['http/1.1'],
    ...options,
  })
  open.push({ close: () => socket.destroy() })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

test('a server without TLS cannot be given certificates', () => {
  const { app } = api()
  expect(() => reloadTls(app, pair)).toThrow('no TLS')
})
