/** Workers and a controller over real TLS: who gets a certificate, for which node, and who does not. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BACKDATE_MS, createAuthority, createKey, issue, type KeyPair } from '../../certs/issue.ts'
import { isSignedBy } from '../../certs/inspect.ts'
import { createRequest } from '../../certs/request.ts'
import { roleUri } from '../../certs/roles.ts'
import type { LoadedFiles } from '../../certs/watch-files.ts'
import type { TokenVerdict } from '../../src/auth/service-account-tokens.ts'
import { ENROL_PATH } from '../../src/kinds/enrolment.ts'
import { JOIN_TOKENS_SECRET } from '../../src/kinds/installation.ts'
import {
  createJoinToken,
  formatJoinToken,
  parseJoinToken,
  type KeptToken,
} from '../../src/kinds/join-token.ts'
import { LEASES, SECRETS } from '../../src/kinds/table.ts'
import { WORKER_ADDRESS, WORKER_ISSUER, WORKER_TRUST, workerLeaseName } from '../../src/kinds/worker-lease.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { keyHash } from '../../src/lib/pem.ts'
import { bundleHash } from '../../src/roles/certificates/bundle-hash.ts'
import { decodeSecret, encodeSecret } from '../../src/roles/certificates/secret-data.ts'
import { enrolmentWish } from '../../src/roles/certificates/wishes.ts'
import { EnrolmentClient } from '../../src/roles/enrolment/client.ts'
import { openEnrolment } from '../../src/roles/enrolment/listener.ts'
import { openWorkerIdentity, type WorkerIdentity } from '../../src/roles/enrolment/worker-identity.ts'
import { Holder } from '../../src/roles/watched-tls.ts'
import { memoryLog } from '../helpers/api.ts'
import { eventually } from '../helpers/server.ts'
import { versionedStore, type VersionedStore } from '../helpers/versioned-store.ts'
import { Agent, request } from 'undici'

const NAMESPACE = 'kubevirt'
const ACCOUNT = 'system:serviceaccount:kubevirt:kubevirt-handler'
const NODE_NAME = 'authentication.kubernetes.io/node-name'

let stack: AsyncDisposableStack
let store: VersionedStore
let authority: KeyPair
let tls: Holder<LoadedFiles>
let url: string
let leafMs: number
let dir: string
let verdict: TokenVerdict | undefined
const asked: (readonly string[])[] = []
const log = memoryLog()
const never = new AbortController().signal

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  store = versionedStore()
  leafMs = 3_600_000
  verdict = undefined
  asked.length = 0
  dir = await mkdtemp('/tmp/virtgate-enrol-')
  stack.defer(() => rm(dir, { recursive: true }))
  authority = await newAuthority()
  tls = new Holder(await controllerPair(authority, authority.cert), {}, log)
  const listener = stack.use(
    await openEnrolment('127.0.0.1:0', {
      store,
      namespace: NAMESPACE,
      tls,
      signer: async () => authority,
      get leafMs() {
        return leafMs
      },
      tokens: {
        read: async (_token, audiences) => {
          asked.push(audiences)
          return verdict
        },
      },
      clock: systemClock,
      log,
    }),
  )
  url = listener.url
})
afterEach(() => stack.disposeAsync())

const newAuthority = () => createAuthority({ commonName: `ca ${Math.random()}`, now: new Date(), days: 1 })

async function controllerPair(by: KeyPair, ca: string): Promise<LoadedFiles> {
  return { ...(await issue(by, { ...enrolmentWish(NAMESPACE), now: new Date(), days: 1 })), ca }
}

/** A token as `virtgate token create` makes it. */
function makeToken(over: Partial<KeptToken> = {}, authorities = [keyHash(authority.cert)]): string {
  const expires = new Date(Date.now() + 60_000).toISOString()
  const { token, kept } = createJoinToken({ expires, ...over }, authorities)
  const present = store.find(SECRETS, NAMESPACE, JOIN_TOKENS_SECRET)
  const data = { ...present?.data, ...encodeSecret({ [token.id]: JSON.stringify({ ...kept, ...over }) }) }
  const metadata = { namespace: NAMESPACE, name: JOIN_TOKENS_SECRET }
  store.put(SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata, data })
  return formatJoinToken(token)
}

async function identityOf(
  node: string,
  token: string,
  over: { controllerCa?: string; dir?: string } = {},
): Promise<WorkerIdentity> {
  return stack.use(
    await openWorkerIdentity({
      node,
      controller: url,
      token: async () => token,
      dir: join(dir, node),
      clock: systemClock,
      log,
      signal: never,
      ...over,
    }),
  )
}

const csr = async () => createRequest(await createKey())
const enrol = async (node: string, token: string, body = { node, csr: '' }) =>
  new EnrolmentClient(url).enrol(
    authority.cert,
    token,
    { ...body, csr: body.csr === '' ? await csr() : body.csr },
    never,
  )

describe('a join token', () => {
  test('gets a certificate that says which node it is for, for serving and calling, and nothing else', async () => {
    const identity = await identityOf('node01', makeToken())
    const { cert, key, ca } = identity.current()
    const leaf = new X509Certificate(cert)
    expect(leaf.subjectAltName).toBe(`DNS:virt-handler, URI:${roleUri({ role: 'worker', node: 'node01' })}`)
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(leaf.toLegacyObject().subject).toEqual({ CN: 'worker:node01' })
    expect(isSignedBy(cert, authority.cert)).toBe(true)
    expect(ca).toBe(authority.cert)
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBe(leafMs + BACKDATE_MS)
    // What is kept of the token is of no use to whoever reads it; the key was never sent.
    expect(JSON.stringify(store.find(SECRETS, NAMESPACE, JOIN_TOKENS_SECRET))).not.toContain(
      key.slice(30, 60),
    )
    const again = await identityOf('node01', 'no token is needed')
    expect(again.current()).toEqual(identity.current())
  })

  test('is good once; for the same node and key again, as after an answer that was lost', async () => {
    const token = makeToken()
    const body = { node: 'node01', csr: await csr() }
    await enrol('node01', token, body)
    expect((await enrol('node01', token, body)).ca).toBe(authority.cert)
    for (const other of [
      { node: 'node01', csr: await csr() },
      { node: 'node02', csr: body.csr },
    ]) {
      await expect(enrol(other.node, token, other)).rejects.toMatchObject({
        code: 401,
        message: expect.stringContaining('was used'),
      })
    }
  })

  test('is used up by one of many who come at the same time', async () => {
    const token = makeToken()
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => enrol(`node0${i}`, token)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test.each<[string, (token: string) => string, number, string]>([
    ['has another secret', (token) => swap(token, 2, 'A'.repeat(43)), 401, 'nobody knows'],
    ['has another id', (token) => swap(token, 1, '0'.repeat(12)), 401, 'nobody knows'],
    ['is cut off', (token) => token.slice(0, 40), 401, 'this is no join token'],
    ['is nothing of the kind', () => 'virtgate-join.', 401, 'this is no join token'],
  ])('that %s is refused', async (_what, change, code, why) => {
    await expect(enrol('node01', change(makeToken()))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(why),
    })
  })

  test('that has ended is refused, and swept out by the next', async () => {
    const old = makeToken({ expires: new Date(Date.now() - 1000).toISOString() })
    const young = makeToken()
    await expect(enrol('node01', old)).rejects.toMatchObject({
      code: 401,
      message: expect.stringContaining('ended at'),
    })
    await expect(enrol('node01', makeToken({ expires: 'never' }))).rejects.toMatchObject({ code: 401 })
    await enrol('node01', young)
    const { id } = parseJoinToken(young)
    expect(Object.keys(decodeSecret(store.find(SECRETS, NAMESPACE, JOIN_TOKENS_SECRET) ?? {}))).toEqual([id])
  })

  test('for a node is for that node; one for any is not for a node that has a worker', async () => {
    await expect(enrol('node02', makeToken({ node: 'node01' }))).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('for the node node01, not for node02'),
    })
    const metadata = { namespace: NAMESPACE, name: workerLeaseName('node03') }
    store.put(LEASES, { apiVersion: '', kind: '', metadata })
    await expect(enrol('node03', makeToken())).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('--node node03'),
    })
    expect((await enrol('node03', makeToken({ node: 'node03' }))).certificate).toContain('CERTIFICATE')
  })

  test('of another installation: nothing is sent to who does not show its authority', async () => {
    const other = await newAuthority()
    const token = makeToken({}, [keyHash(other.cert)])
    await expect(identityOf('node01', token)).rejects.toThrow('does not show the authority')
    const kept = decodeSecret(store.find(SECRETS, NAMESPACE, JOIN_TOKENS_SECRET) ?? {})
    expect(Object.values(kept).join('')).not.toContain('used')
  })

  test('is given to a controller alone, whatever else has a certificate of the authority', async () => {
    const worker = { commonName: 'x', usage: 'both' as const, uris: [roleUri({ role: 'worker', node: 'n' })] }
    const pair = await issue(authority, { ...worker, now: new Date(), days: 1 })
    tls.take({ ...pair, ca: authority.cert })
    await expect(enrol('node01', makeToken())).rejects.toThrow('is not for spiffe://virtgate/controller')
  })
})

describe('a request for a certificate', () => {
  test.each<[string, () => Promise<string>, string]>([
    ['asks for names', () => foreign({ san: true }), 'asks for names or extensions'],
    ['asks for a subject', () => foreign({ subject: 'CN=mig-1-src' }), 'asks for names or extensions'],
    ['is for an RSA key', () => foreign({ rsa: true }), 'is for another key than one of P-256'],
    ['is for a key of P-384', () => foreign({ curve: 'P-384' }), 'is for another key than one of P-256'],
    ['is signed by another key', forged, 'is not signed by the key that it is for'],
    ['is none', async () => 'hello', 'cannot be read'],
    ['is long', async () => 'x'.repeat(5000), 'is longer than'],
  ])('that %s is refused, and uses up no token', async (_what, make, why) => {
    const token = makeToken()
    const body = { node: 'node01', csr: await make() }
    await expect(enrol('node01', token, body)).rejects.toMatchObject({
      code: 400,
      message: expect.stringContaining(why),
    })
    expect((await enrol('node01', token)).certificate).toContain('CERTIFICATE')
  })

  test.each(['', '../x', 'a b', 'Node', 'x'.repeat(250)])('for a node called %o is refused', async (node) => {
    await expect(enrol(node, makeToken())).rejects.toMatchObject({ code: 400 })
  })
})

describe('the token of a service account', () => {
  const user = (name = ACCOUNT, nodes: string[] = ['node01']) => ({
    user: { name, groups: [], extra: { [NODE_NAME]: nodes } },
    audiences: ['virtgate-enrol'],
  })

  test("gets the certificate of the node that its pod is on, for the workers' account", async () => {
    verdict = user()
    const controllerCa = join(dir, 'ca.crt')
    await writeFile(controllerCa, authority.cert)
    const identity = await identityOf('node01', 'header.payload.signature', { controllerCa })
    expect(new X509Certificate(identity.current().cert).subjectAltName).toContain('worker/node01')
    expect(asked).toEqual([['virtgate-enrol']])
  })

  test.each<[string, TokenVerdict | undefined, number, string]>([
    ['nobody vouches for', undefined, 401, 'audience virtgate-enrol'],
    ['is of another account', user('system:serviceaccount:tenant:kubevirt-handler'), 403, 'workers enrol as'],
    ['is of another node', user(ACCOUNT, ['node02']), 403, 'is of the node node02, not of node01'],
    ['names two nodes', user(ACCOUNT, ['node01', 'node02']), 403, 'not of node01'],
    ['names no node', user(ACCOUNT, []), 403, 'Kubernetes 1.30'],
  ])('that %s is refused', async (_what, given, code, why) => {
    verdict = given
    await expect(enrol('node01', 'a.b.c')).rejects.toMatchObject({
      code,
      message: expect.stringContaining(why),
    })
  })

  test('takes an authority to believe in', async () => {
    await expect(identityOf('node01', 'a.b.c')).rejects.toThrow('--controller-ca')
  })
})

describe('a worker that has enrolled', () => {
  const lease = (node = 'node01') =>
    store.find(LEASES, NAMESPACE, workerLeaseName(node))?.metadata.annotations

  test('says where it is, takes up a new authority before its certificate, and comes back with both', async () => {
    const identity = await identityOf('node01', makeToken())
    const first = identity.current()
    identity.announce({ host: undefined, port: 8186 })
    await eventually('it is registered', 5000, async () => lease()?.[WORKER_TRUST] === bundleHash(first.ca))
    expect(lease()).toMatchObject({
      [WORKER_ADDRESS]: '127.0.0.1:8186',
      [WORKER_ISSUER]: keyHash(authority.cert),
    })

    const next = await newAuthority()
    const both = next.cert + authority.cert
    tls.take(await controllerPair(authority, both))
    await eventually(
      'it believes both, and says so',
      5000,
      async () => lease()?.[WORKER_TRUST] === bundleHash(both),
    )
    expect(identity.current()).toEqual({ ...first, ca: both })

    const old = authority
    authority = next
    tls.take(await controllerPair(next, both))
    await eventually(
      'its certificate is of the new one',
      5000,
      async () => lease()?.[WORKER_ISSUER] === keyHash(next.cert),
    )
    expect(isSignedBy(identity.current().cert, next.cert)).toBe(true)
    expect(identity.current().key).not.toBe(first.key)

    tls.take(await controllerPair(next, next.cert))
    await eventually(
      'the old one is forgotten',
      5000,
      async () => lease()?.[WORKER_TRUST] === bundleHash(next.cert),
    )
    expect(identity.current().ca).not.toContain(old.cert)
    const kept = JSON.parse(await readFile(join(dir, 'node01', 'identity.json'), 'utf8')) as LoadedFiles
    expect(kept).toEqual(identity.current())
  })

  test('renews its certificate after two thirds of its life', async () => {
    leafMs = 3000
    const identity = await identityOf('node01', makeToken())
    const { cert } = identity.current()
    const changed = new Promise((resolve) => identity.onChange(resolve))
    identity.announce({ host: '10.0.0.1', port: 8186 })
    await changed
    expect(identity.current().cert).not.toBe(cert)
    expect(Date.now()).toBeLessThan(new X509Certificate(cert).validToDate.getTime() + 1000)
    expect(lease()?.[WORKER_ADDRESS]).toBe('10.0.0.1:8186')
  })

  test('enrols again when its certificate has ended', async () => {
    leafMs = 1000
    const first = await identityOf('node01', makeToken())
    await eventually('it has ended', 5000, async () => Date.now() > endOf(first.current().cert))
    leafMs = 3_600_000
    const second = await identityOf('node01', makeToken({ node: 'node01' }))
    expect(endOf(second.current().cert)).toBeGreaterThan(Date.now())
  })

  test('enrols again while it runs, where nobody believes its certificate any more', async () => {
    verdict = {
      user: { name: ACCOUNT, groups: [], extra: { [NODE_NAME]: ['node01'] } },
      audiences: ['virtgate-enrol'],
    }
    const controllerCa = join(dir, 'ca.crt')
    await writeFile(controllerCa, authority.cert)
    const identity = await identityOf('node01', 'a.b.c', { controllerCa })
    // Somebody has deleted the authority.
    authority = await newAuthority()
    await writeFile(controllerCa, authority.cert)
    tls.take(await controllerPair(authority, authority.cert))
    identity.announce({ host: undefined, port: 8186 })
    await eventually('it has a certificate of the new one', 10_000, async () =>
      isSignedBy(identity.current().cert, authority.cert),
    )
    expect(identity.current().ca).toBe(authority.cert)
  })

  test.each<[string, () => Promise<KeyPair>]>([
    ['nothing', async () => ({ cert: '', key: '' })],
    ['a controller', () => pairOf(authority, roleUri({ role: 'controller' }), 'both')],
    ['an API server', () => pairOf(authority, roleUri({ role: 'apiserver' }), 'client')],
    ['a server only', () => pairOf(authority, roleUri({ role: 'worker', node: 'node01' }), 'server')],
    [
      'somebody of another authority',
      async () => pairOf(await newAuthority(), roleUri({ role: 'worker', node: 'node01' }), 'both'),
    ],
    [
      'a worker whose certificate has ended',
      () => pairOf(authority, roleUri({ role: 'worker', node: 'n' }), 'both', -1),
    ],
  ])('is not %s: neither renewal nor check-in', async (_who, make) => {
    const { cert, key } = await make()
    const shown = { ca: authority.cert, ...(cert !== '' && { cert, key }) } as LoadedFiles
    const client = new EnrolmentClient(url)
    await expect(client.renew(shown, await csr(), never)).rejects.toMatchObject({ code: 401 })
    const checkIn = client.checkIn(shown, { address: '10.0.0.1:1', trust: 'x' }, never)
    await expect(checkIn).rejects.toMatchObject({ code: 401 })
  })
})

describe('the listener', () => {
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const dispatcher = new Agent({ connect: { ca: authority.cert, checkServerIdentity: () => undefined } })
    const answer = await request(url + ENROL_PATH, {
      method: 'POST',
      dispatcher,
      body,
      headers: { 'content-type': 'application/json', authorization: 'Bearer virtgate-join.x', ...headers },
    })
    const status = (await answer.body.json()) as { kind: string; reason: string }
    await dispatcher.destroy()
    return { code: answer.statusCode, headers: answer.headers, ...status }
  }

  test.each<[string, string, Record<string, string>, number]>([
    ['is too large', JSON.stringify({ node: 'x'.repeat(9000) }), {}, 413],
    ['is no JSON', '{', {}, 400],
    ['is a list', '[]', {}, 400],
    ['is of another type', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['has no token', '{"node":"a","csr":"b"}', { authorization: 'Basic eDp5' }, 401],
  ])('answers with a Status to what %s', async (_what, body, headers, code) => {
    expect(await post(body, headers)).toMatchObject({ code, kind: 'Status' })
  })

  test('makes an address that fails again and again wait', async () => {
    const body = JSON.stringify({ node: 'node01', csr: await csr() })
    let last = await post(body)
    for (let tries = 0; tries < 30 && last.code === 401; tries++) last = await post(body)
    expect(last).toMatchObject({ code: 429, reason: 'TooManyRequests' })
    expect(Number(last.headers['retry-after'])).toBeGreaterThan(0)
  })
})

const endOf = (pem: string) => new X509Certificate(pem).validToDate.getTime()

function pairOf(by: KeyPair, uri: string, usage: 'client' | 'server' | 'both', days = 1): Promise<KeyPair> {
  const now = new Date(Date.now() + (days < 0 ? 60_000 : 0))
  return issue(by, { commonName: 'x', usage, uris: [uri], now, days: days < 0 ? -0.001 : days })
}

function swap(token: string, index: number, part: string): string {
  return token
    .split('.')
    .map((present, at) => (at === index ? part : present))
    .join('.')
}

/** A request as no worker of ours makes it. */
async function foreign({
  san = false,
  subject = '',
  rsa = false,
  curve = 'P-256',
}: {
  san?: boolean
  subject?: string
  rsa?: boolean
  curve?: string
}): Promise<string> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = rsa
    ? {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
      }
    : { name: 'ECDSA', namedCurve: curve, hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names = [{ type: 'url' as const, value: roleUri({ role: 'worker', node: 'victim' }) }]
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys,
    signingAlgorithm: algorithm,
    extensions: san ? [new x509.SubjectAlternativeNameExtension(names)] : [],
  })
  return made.toString('pem')
}

/** Somebody else's key, signed by one's own. */
async function forged(): Promise<string> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const [own, other] = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ]
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [],
    keys: {
      privateKey: own.privateKey.toCryptoKey(algorithm, false, ['sign']),
      publicKey: other.publicKey.toCryptoKey(algorithm, true, ['verify']),
    },
    signingAlgorithm: algorithm,
  })
  return made.toString('pem')
}
