/** Front proxies over real TLS. Contract: subresources.md 2.2 and 2.3, security.md A1, A2, A3, A4, A8. */
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { ConnectionOptions } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { KeyPair } from '../../../certs/issue.ts'
import { unionAuthenticator } from '../../../src/auth/authenticate.ts'
import { buildFrontProxy } from '../../../src/auth/front-proxy/authenticator.ts'
import { buildCertificateAuthenticator } from '../../../src/auth/client-certificate.ts'
import { apiOf, byToken, type TestApi } from '../../helpers/api.ts'
import { issueThrough } from '../../helpers/intermediate.ts'
import { askHttp2, rawClient, trustData, trustOf, type RawClient } from '../../helpers/front-proxy.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../../helpers/pki.ts'

const GUARDED = '/guarded'
const ADMIN = ['X-Remote-User: admin', 'X-Remote-Group: system:masters', 'X-Remote-Group: a,b']
const PROXY = { usage: 'client', commonName: 'front-proxy-client' } as const

let ca: TestAuthority
let other: TestAuthority
let people: TestAuthority
let proxy: KeyPair
let api: TestApi
let port: number
let time = new Date()
const trust = trustOf(undefined)
const sockets: RawClient[] = []

beforeAll(async () => {
  ca = await makeAuthority('front proxy authority')
  other = await makeAuthority('front proxy authority')
  people = await makeAuthority("people's authority")
  proxy = await ca.issue(PROXY)
  const frontProxy = buildFrontProxy(trust, () => time)
  api = apiOf(
    {},
    {
      tls: { ...(await servingPair(people)), ca: [] },
      authenticator: unionAuthenticator([
        frontProxy.authenticator,
        buildCertificateAuthenticator(() => people.cert),
        byToken,
        frontProxy.lastWord,
      ]),
    },
  )
  api.app.get('/open', { config: { access: 'open' } }, async () => 'open')
  const access = () => ({ kind: 'path', verb: 'get', path: GUARDED }) as const
  api.app.get(GUARDED, { config: { access } }, async () => 'served')
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  // It listens on a port, not on a socket in the file system.
  port = (api.app.server.address() as AddressInfo).port
  trust.set(trustData(ca.cert))
})
afterEach(() => {
  for (const { socket } of sockets.splice(0)) socket.destroy()
  trust.set(trustData(ca.cert))
  time = new Date()
  api.reviews.length = 0
})
afterAll(() => api.app.close())

async function connect(pair: Partial<KeyPair> = {}, more: ConnectionOptions = {}): Promise<RawClient> {
  const client = await rawClient(port, { ca: people.cert, ...pair, ...more })
  sockets.push(client)
  return client
}

const ask = async (client: RawClient, lines: readonly string[] = ADMIN) => client.ask('GET', GUARDED, lines)
const lastUser = () => api.reviews.at(-1)?.user

/** The message of a Status 401; nobody was asked whether they may. */
function refusalIn({ code, body }: { code: number; body: string }): string {
  const status: { message: string } = JSON.parse(body)
  expect(status).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 })
  expect(code).toBe(401)
  expect(api.reviews).toEqual([])
  return status.message
}

describe('certificates', () => {
  test('CE-3: the right authority and an allowed name: the headers are believed', async () => {
    expect((await ask(await connect(proxy))).code).toBe(200)
    expect(lastUser()).toEqual({ name: 'admin', groups: ['system:masters', 'a,b', 'system:authenticated'] })
  })

  test('CE-1, A2: without a certificate open paths answer, and the headers count for nothing', async () => {
    const client = await connect()
    expect((await client.ask('GET', '/open', ADMIN)).code).toBe(200)
    expect(refusalIn(await ask(client))).toMatch(/^Unauthorized$/)
  })

  test('CE-2, A1: a certificate of another authority with the right name', async () => {
    const client = await connect(await other.issue(PROXY))
    expect((await client.ask('GET', '/open', ADMIN)).code).toBe(200)
    expect(refusalIn(await ask(client))).toMatch(/authority is not the request-header CA/)
  })

  test('CE-4, CVE-2025-64432: the right authority and a name that is not allowed', async () => {
    for (const commonName of ['front-proxy-clienT', 'kubelet', '']) {
      expect(refusalIn(await ask(await connect(await ca.issue({ ...PROXY, commonName }))))).toMatch(
        /common name is none of/,
      )
    }
    const inOrganization = {
      usage: 'client',
      commonName: 'x',
      organizations: ['front-proxy-client'],
    } as const
    expect(refusalIn(await ask(await connect(await ca.issue(inOrganization))))).toMatch(
      /common name is none of/,
    )
    const inAlternativeName = { usage: 'client', commonName: 'x', dnsNames: ['front-proxy-client'] } as const
    expect(refusalIn(await ask(await connect(await ca.issue(inAlternativeName))))).toMatch(
      /common name is none of/,
    )
  })

  test('A1: a certificate for servers alone', async () => {
    expect(refusalIn(await ask(await connect(await ca.issue({ ...PROXY, usage: 'server' }))))).toMatch(
      /not meant for clients/,
    )
  })

  test('a certificate that names our authority and was signed by another', async () => {
    const forged = { cert: ca.cert, key: other.key }
    const pair = await issueThrough(forged, PROXY)
    expect(refusalIn(await ask(await connect(pair)))).toMatch(/authority is not the request-header CA/)
  })

  test('CE-5: with an empty list of names any name of the authority passes, and no other authority', async () => {
    trust.set(trustData(ca.cert, { 'requestheader-allowed-names': '[]' }))
    expect((await ask(await connect(await ca.issue({ ...PROXY, commonName: 'anybody' })))).code).toBe(200)
    api.reviews.length = 0
    expect(refusalIn(await ask(await connect(await other.issue(PROXY))))).toMatch(/authority is not/)
  })

  test.each<[string, Record<string, string | undefined> | undefined, RegExp]>([
    ['no ConfigMap', undefined, /extension-apiserver-authentication does not exist/],
    ['no authority', { 'requestheader-client-ca-file': undefined }, /no key requestheader-client-ca-file/],
    ['no names', { 'requestheader-allowed-names': undefined }, /no key requestheader-allowed-names/],
    ['names that are no JSON', { 'requestheader-allowed-names': '[' }, /is no JSON/],
  ])('CE-6, A4: with %s, whoever comes is told so, and open paths answer', async (_case, change, why) => {
    trust.set(change && trustData(ca.cert, change))
    for (const client of [await connect(proxy), await connect()]) {
      expect(refusalIn(await ask(client))).toMatch(why)
      expect((await client.ask('GET', '/open', [])).code).toBe(200)
    }
    const token = await ask(await connect(), ['Authorization: Bearer alice', ...ADMIN])
    expect(token.code).toBe(200)
    expect(lastUser()?.name).toBe('alice')
  })

  test('a certificate over an intermediate authority passes where the client shows that', async () => {
    const pair = await issueThrough(ca, PROXY)
    const [leafAlone = ''] = pair.cert.split(/(?<=-----END CERTIFICATE-----\n)/)
    expect(refusalIn(await ask(await connect({ cert: leafAlone, key: pair.key })))).toMatch(
      /authority is not/,
    )
    expect((await ask(await connect(pair))).code).toBe(200)
  })

  test('an intermediate that may not issue, or not for clients, does not help', async () => {
    for (const change of [{ ca: false }, { usages: ['1.3.6.1.5.5.7.3.1'] }]) {
      expect(refusalIn(await ask(await connect(await issueThrough(ca, PROXY, change))))).toMatch(
        /authority is not/,
      )
    }
  })
})

describe('each request is decided by itself', () => {
  test('a change of the ConfigMap counts on a connection that is open', async () => {
    const client = await connect(proxy)
    expect((await ask(client)).code).toBe(200)
    api.reviews.length = 0
    trust.set(trustData(other.cert))
    expect(refusalIn(await ask(client))).toMatch(/authority is not/)
    trust.set(trustData(ca.cert, { 'requestheader-allowed-names': '["somebody"]' }))
    expect(refusalIn(await ask(client))).toMatch(/common name/)
    trust.set(trustData(other.cert + ca.cert))
    expect((await ask(client)).code).toBe(200)
  })

  test('new names of headers count on a connection that is open, and the old ones no more', async () => {
    const client = await connect(proxy)
    expect((await ask(client)).code).toBe(200)
    api.reviews.length = 0
    trust.set(trustData(ca.cert, { 'requestheader-username-headers': '["x-my-user"]' }))
    expect(refusalIn(await ask(client))).toMatch(/names no user/)
    expect((await ask(client, ['X-My-User: bob'])).code).toBe(200)
    expect(lastUser()?.name).toBe('bob')
  })

  test('a certificate expires on a connection that is open', async () => {
    const client = await connect(proxy)
    expect((await ask(client)).code).toBe(200)
    api.reviews.length = 0
    time = new Date(Date.now() + 36 * 3600_000)
    expect(refusalIn(await ask(client))).toMatch(/has expired/)
  })

  test.each(['TLSv1.3', 'TLSv1.2'] as const)(
    'a resumed session of %s carries no decision',
    async (version) => {
      const pair = await issueThrough(ca, PROXY)
      const limits = { maxVersion: version, minVersion: version }
      const first = await connect(pair, limits)
      const tickets = once(first.socket, 'session')
      expect((await ask(first)).code).toBe(200)
      const session: Buffer = version === 'TLSv1.3' ? (await tickets)[0] : first.socket.getSession()
      const second = await connect(pair, { ...limits, session })
      expect(second.socket.isSessionReused()).toBe(true)
      expect((await ask(second)).code).toBe(200)
      trust.set(trustData(ca.cert, { 'requestheader-allowed-names': '["somebody"]' }))
      api.reviews.length = 0
      const third = await connect(pair, { ...limits, session })
      expect(third.socket.isSessionReused()).toBe(true)
      expect(refusalIn(await ask(third))).toMatch(/common name/)
    },
  )
})

describe('headers', () => {
  test('A3: the user, the groups in order, the UID and the extras reach the review', async () => {
    await ask(await connect(proxy), [
      ...ADMIN,
      'X-Remote-Uid: 42',
      'X-Remote-Extra-Authentication.kubernetes.io%2fcredential-id: JTI=7',
    ])
    expect(lastUser()).toEqual({
      name: 'admin',
      uid: '42',
      groups: ['system:masters', 'a,b', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=7'] },
    })
  })

  test('HD-3: no group header is no group', async () => {
    expect((await ask(await connect(proxy), ['X-Remote-User: jörg'])).code).toBe(200)
    expect(lastUser()).toEqual({ name: 'jörg', groups: ['system:authenticated'] })
  })

  test('HD-1, A3: no user is refused, and two are', async () => {
    expect(refusalIn(await ask(await connect(proxy), ['X-Remote-Group: system:masters']))).toMatch(
      /names no user/,
    )
    expect(refusalIn(await ask(await connect(proxy), [...ADMIN, 'X-Remote-User: eve']))).toMatch(
      /more than once/,
    )
  })

  test('HD-6: headers beside a token, or beside a certificate of a person, count for nothing', async () => {
    expect((await ask(await connect(), ['Authorization: Bearer alice', ...ADMIN])).code).toBe(200)
    expect(lastUser()).toEqual({ name: 'alice', groups: ['system:authenticated'] })
    const carol = await people.issue({ usage: 'client', commonName: 'carol' })
    expect((await ask(await connect(carol))).code).toBe(200)
    expect(lastUser()).toMatchObject({ name: 'carol', groups: ['system:authenticated'] })
  })

  test('A8: impersonation was dealt with before us and is ignored here', async () => {
    const lines = [...ADMIN, 'Impersonate-User: eve', 'Impersonate-Group: g']
    expect((await ask(await connect(proxy), lines)).code).toBe(200)
    expect(lastUser()?.name).toBe('admin')
  })

  test('HTTP/2 requests are known by the same headers', async () => {
    const headers = {
      ':method': 'GET',
      ':path': GUARDED,
      'x-remote-user': 'admin',
      'x-remote-group': ['g,h', 'i'],
    }
    expect((await askHttp2(port, { ca: people.cert, ...proxy }, headers)).code).toBe(200)
    expect(lastUser()).toEqual({ name: 'admin', groups: ['g,h', 'i', 'system:authenticated'] })
    api.reviews.length = 0
    expect(
      refusalIn(await askHttp2(port, { ca: people.cert, ...(await other.issue(PROXY)) }, headers)),
    ).toMatch(/authority/)
  })
})
