/**
 * Security checklist, section E: TLS, certificates and workers, at a whole `virtgate apiserver` over real TLS.
 * Who may call a worker (E1, E2) and what a caller follows (E8) is in `test/rpc/server.test.ts`; pairs that are replaced
 * (E6) are in `test/certs/watch-files.test.ts`, readiness before the end of one in `test/roles/apiserver-checks.test.ts`;
 * the certificates of a migration (E7) are in `test/certs/migration.test.ts`.
 */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { GROUP } from '../../src/http/group.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import { rawClient } from '../helpers/front-proxy.ts'
import { makeAuthority, rsaPair, servingPair } from '../helpers/pki.ts'
import { eventually } from '../helpers/server.ts'

const NS = `/apis/${GROUP}/v1/namespaces/default`
const VMIS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
const ADMIN = ['X-Remote-User: root', 'X-Remote-Group: system:masters']
const INTERNAL = ['apiserver', 'controller', 'worker-node01']

let door: FrontDoor

beforeAll(async () => {
  door = await openFrontDoor()
})
afterAll(() => door[Symbol.asyncDispose]())

/** The pair that a part of virtgate shows to another. */
function internalPair(name: string): KeyPair {
  const { cert, key } = door.objects.certificates.files(name)
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

describe('E1: a certificate of the parts of virtgate is worth nothing at the front door', () => {
  test.each(INTERNAL)('%s', async (name) => {
    const client = await door.connect(internalPair(name))
    expect((await client.ask('PUT', `${NS}/virtualmachines/absent/start`, ADMIN)).code).toBe(401)
  })
})

test('E2: nothing but what is listed here leaves the verification of a peer to others', () => {
  const found = ['src/**/*.ts', 'certs/*.ts', 'apiservice/**/*.ts']
    .flatMap((pattern) => globSync(pattern))
    .filter((file) => /rejectUnauthorized['"]?\]?:\s*false|NODE_TLS_REJECT/.test(readFileSync(file, 'utf8')))
  expect(found.toSorted()).toEqual([
    // Only to show what the peer shows.
    'src/cli/doctor/shown-certificate.ts',
    // Servers: whoever shows no certificate may show a token; the authenticators verify what is shown.
    'src/http/enrolment-server.ts',
    'src/http/tls.ts',
    // Where a kubeconfig says so.
    'src/kube/config.ts',
    // Held against the hash in the join token before anything is sent.
    'src/roles/enrolment/client.ts',
    // The guest cannot be known: contract of probes, and of vsock.
    'src/worker/network/vsock.ts',
    'src/worker/probes/http.ts',
  ])
})

describe('E2: a certificate for the name of kube-apiserver', () => {
  const day = 86_400_000
  const name = { usage: 'client', commonName: 'front-proxy-client' } as const
  // The weakest that this side has, so that it is the server that refuses.
  const anyKey = { ciphers: 'DEFAULT:@SECLEVEL=0' }

  test.each<[string, number, () => Promise<KeyPair>]>([
    ['of 2,048 bits', 404, () => rsaPair(door.ca, name.commonName, 2048)],
    ['of 1,024 bits', 401, () => rsaPair(door.ca, name.commonName, 1024)],
    ['that has expired', 401, () => door.ca.issue({ ...name, now: new Date(Date.now() - 3 * day), days: 1 })],
    ['that is not valid yet', 401, () => door.ca.issue({ ...name, now: new Date(Date.now() + day / 2) })],
    ['of another authority', 401, async () => (await makeAuthority('front proxy authority')).issue(name)],
    ['signed by itself', 401, () => makeAuthority(name.commonName)],
    ['for servers', 401, () => door.ca.issue({ ...name, usage: 'server' })],
    ['of another name', 401, () => door.ca.issue({ ...name, commonName: 'front-proxy-client2' })],
  ])('%s gets %i', async (_what, code, make) => {
    const client = await rawClient(door.port, { ca: door.people.cert, ...(await make()), ...anyKey })
    expect((await client.ask('PUT', `${NS}/virtualmachines/absent/start`, ADMIN)).code).toBe(code)
    client.socket.destroy()
  })
})

describe('E4: what a worker holds opens nothing in the Kubernetes API', () => {
  const collections = [
    '/api/v1/nodes',
    '/api/v1/secrets',
    '/api/v1/namespaces/default/secrets',
    VMIS,
    '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancemigrations',
  ]
  test.each(collections)('%s', async (path) => {
    const { cert, key } = internalPair('worker-node01')
    const { ca } = door.objects.certificates.current()
    const client = await rawClient(Number(new URL(door.objects.url).port), { ca, cert, key })
    const item = `${path}/node01`
    for (const [method, at] of [
      ['GET', path],
      ['POST', path],
      ['DELETE', path],
      ['GET', item],
      ['PUT', item],
      ['PATCH', item],
      ['DELETE', item],
    ] as const) {
      expect([method, at, (await client.ask(method, at, [])).code]).toEqual([method, at, 401])
    }
    client.socket.destroy()
  })
})

describe.each(['the API', 'the webhooks'])('E5: the listener of %s', (listener) => {
  const shake = async (options: ConnectionOptions): Promise<string | null> => {
    const port = listener === 'the API' ? door.port : door.webhookPort
    const socket = connectTls({ host: '127.0.0.1', port, ca: door.people.cert, ...options })
    try {
      await once(socket, 'secureConnect')
      return socket.getProtocol()
    } catch {
      return null
    } finally {
      socket.destroy()
    }
  }
  const tls12 = (ciphers: string): ConnectionOptions => ({
    maxVersion: 'TLSv1.2',
    // The weakest that this side has, so that it is the server that refuses.
    ciphers: `${ciphers}:@SECLEVEL=0`,
  })

  test.each<[string, ConnectionOptions, string | null]>([
    ['TLS 1.3', {}, 'TLSv1.3'],
    ['TLS 1.2 with AES-GCM', tls12('ECDHE-ECDSA-AES128-GCM-SHA256'), 'TLSv1.2'],
    ['TLS 1.2 with ChaCha20', tls12('ECDHE-ECDSA-CHACHA20-POLY1305'), 'TLSv1.2'],
    ['CBC with SHA-1', tls12('ECDHE-ECDSA-AES128-SHA'), null],
    ['CBC with SHA-256', tls12('ECDHE-ECDSA-AES128-SHA256'), null],
    ['CBC with SHA-384', tls12('ECDHE-ECDSA-AES256-SHA384'), null],
    ['CCM with a short tag', tls12('ECDHE-ECDSA-AES128-CCM8'), null],
    ['keys that are not forgotten', tls12('AES128-GCM-SHA256'), null],
    ['nobody’s certificate', tls12('AECDH-AES128-SHA'), null],
    [
      'TLS 1.1',
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' },
      null,
    ],
  ])('%s', async (_what, options, protocol) => {
    expect(await shake(options)).toBe(protocol)
  })

  test('does not negotiate again', async () => {
    const port = listener === 'the API' ? door.port : door.webhookPort
    const socket = connectTls({ host: '127.0.0.1', port, ca: door.people.cert, maxVersion: 'TLSv1.2' })
    await once(socket, 'secureConnect')
    const failed = Promise.withResolvers<Error | null>()
    socket.on('error', (error) => failed.resolve(error))
    socket.renegotiate({}, (error) => failed.resolve(error))
    expect(String(await failed.promise)).toMatch(/no renegotiation/i)
    socket.destroy()
  })
})

/** The number of the certificate that a new connection is shown. */
async function shownNow(): Promise<string | undefined> {
  const socket: TLSSocket = await door.socket()
  const serial = socket.getPeerX509Certificate()?.serialNumber
  socket.destroy()
  return serial
}

describe('E6: a serving pair that is replaced is taken up, and no handshake fails meanwhile', () => {
  test.each([
    ['certificate first', ['cert', 'key']],
    ['key first', ['key', 'cert']],
  ] as const)('%s, by rename', async (_how, order) => {
    const before = await shownNow()
    const next = await servingPair(door.people)
    const open = await door.connect(door.proxy)
    const shown: (string | undefined)[] = []
    for (const name of order) {
      shown.push(await shownNow())
      const file = door.serving[name]
      await writeFile(`${file}.new`, next[name])
      await rename(`${file}.new`, file)
    }
    // The second time nothing that belongs together was there.
    expect(shown).toEqual([before, before])
    const { serialNumber } = new X509Certificate(next.cert)
    await eventually('the new pair is served', 10_000, async () => (await shownNow()) === serialNumber)
    expect((await open.ask('GET', '/livez', [])).code).toBe(200)
  })
})

test('E8: where an object says that its node is, nobody calls', async () => {
  let calls = 0
  const decoy = createServer((socket) => {
    calls += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(decoy, 'listening')
  // It listens on a port, not on a socket in the file system.
  const { port } = decoy.address() as AddressInfo
  const vmi = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'liar' },
    spec: { domain: { devices: {}, memory: { guest: '64Mi' } } },
  }
  const { client } = door.objects
  const made = await client.call<{ metadata: object }>({ method: 'POST', path: VMIS, body: vmi })
  const status = {
    phase: 'Running',
    nodeName: `127.0.0.1:${port}`,
    interfaces: [{ name: 'default', ipAddress: '127.0.0.1', ipAddresses: ['127.0.0.1'] }],
  }
  await client.call({ method: 'PUT', path: `${VMIS}/liar`, body: { ...vmi, ...made, status } })
  const asked = await door.connect(door.proxy)
  for (const [method, name] of [
    ['PUT', 'pause'],
    ['PUT', 'softreboot'],
    ['GET', 'guestosinfo'],
    ['GET', 'vnc/screenshot'],
  ] as const) {
    const { code } = await asked.ask(method, `${NS}/virtualmachineinstances/liar/${name}`, ADMIN)
    expect([name, code >= 400, code === 404]).toEqual([name, true, false])
  }
  expect(calls).toBe(0)
  decoy.close()
})
