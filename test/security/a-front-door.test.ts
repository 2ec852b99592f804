/**
 * Security checklist, section A: the front door. A whole `virtgate apiserver` over real TLS, with real certificates.
 * A4 (start without the ConfigMap, without the key, then with both) is in `test/roles/apiserver.test.ts`.
 */
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { GROUP, VERSIONS } from '../../src/http/group.ts'
import { subresources } from '../../src/subresources/index.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import type { RawAnswer } from '../helpers/front-proxy.ts'
import { makeAuthority } from '../helpers/pki.ts'

const BASE = `/apis/${GROUP}/v1`
const NS = `${BASE}/namespaces/default`
/** Of a VM that does not exist: 404 says that the caller was known and allowed. */
const START = `${NS}/virtualmachines/absent/start`
const CONSOLE = `${NS}/virtualmachineinstances/absent/console`
const ADMIN = ['X-Remote-User: root', 'X-Remote-Group: system:masters']
const CLIENT = { usage: 'client', commonName: 'front-proxy-client' } as const
const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

let door: FrontDoor

beforeAll(async () => {
  door = await openFrontDoor()
})
afterAll(() => door[Symbol.asyncDispose]())

describe('A1: identity headers count only with a certificate of the request-header CA and an allowed name', () => {
  let pairs: Record<string, KeyPair>

  beforeAll(async () => {
    const other = await makeAuthority('front proxy authority')
    pairs = {
      'right CA and CN': door.proxy,
      'right CA, wrong CN': await door.ca.issue({ ...CLIENT, commonName: 'kubelet' }),
      'other CA, right CN': await other.issue(CLIENT),
      'right CA and CN, for servers': await door.ca.issue({ ...CLIENT, usage: 'server' }),
    }
  })
  afterAll(() => door.setTrust({}))

  test.each<[string, Record<string, string | undefined>, number[]]>([
    ['stated', {}, [404, 401, 401, 401]],
    ['an empty list: any name of that CA', { 'requestheader-allowed-names': '[]' }, [404, 404, 401, 401]],
    ['missing: nobody', { 'requestheader-allowed-names': undefined }, [401, 401, 401, 401]],
    ['malformed: nobody', { 'requestheader-allowed-names': '["front-' }, [401, 401, 401, 401]],
    ['no list of texts: nobody', { 'requestheader-allowed-names': '{}' }, [401, 401, 401, 401]],
  ])('with names that are %s', async (_names, change, codes) => {
    await door.setTrust(change)
    const answers: [string, number][] = []
    for (const [name, pair] of Object.entries(pairs)) {
      const { code } = await (await door.connect(pair)).ask('PUT', START, ADMIN)
      answers.push([name, code])
    }
    expect(answers).toEqual(Object.keys(pairs).map((name, at) => [name, codes[at]]))
  })
})

/** Where each subresource is, in both versions. */
function paths(): [method: string, path: string][] {
  return VERSIONS.flatMap((version) =>
    subresources.map(({ resource, name, method }): [string, string] => {
      const parent = resource ? `${resource.plural}/absent/` : ''
      const port = name === 'portforward' ? '/22' : ''
      return [method, `/apis/${GROUP}/${version}/namespaces/default/${parent}${name}${port}`]
    }),
  )
}

describe('A2: without a certificate', () => {
  test('no subresource answers anything but 401, whatever headers say', async () => {
    const client = await door.connect()
    for (const [method, path] of paths()) {
      expect([path, (await client.ask(method, path, ADMIN)).code]).toEqual([path, 401])
    }
  })

  test('exactly the paths that the root lists, and the probes, are open; no other spelling of them is', async () => {
    const client = await door.connect()
    const { paths: listed }: { paths: string[] } = JSON.parse((await client.ask('GET', '/', ADMIN)).body)
    const open = listed.filter((path) => !path.includes('profiler'))
    expect(open).toEqual(
      expect.arrayContaining([`/apis/${GROUP}`, `${BASE}/version`, '/healthz', '/openapi/v2']),
    )
    for (const path of [...open, '/livez', '/readyz']) {
      const { code } = await client.ask('GET', path, ADMIN)
      // guestfs has nothing to say before KubeVirt is deployed.
      expect([path, code === 401]).toEqual([path, false])
      for (const other of spellings(path)) {
        expect([other, (await client.ask('GET', other, ADMIN)).code]).toEqual([other, 401])
      }
    }
  })

  test('profiles of the process are nobody’s', async () => {
    const client = await door.connect()
    for (const what of ['start', 'stop', 'dump']) {
      expect((await client.ask('GET', `/${what}-profiler`, ADMIN)).code).toBe(401)
      expect((await client.ask('GET', `${BASE}/${what}-cluster-profiler`, ADMIN)).code).toBe(401)
    }
  })
})

function spellings(path: string): string[] {
  const [, first = ''] = path.split('/')
  return [
    `${path}/`,
    `/${path}`,
    path.replace(`/${first}`, `/${first.toUpperCase()}`),
    `/x/%2e%2e${path}`,
    `/%2f${path.slice(1)}`,
    `${path}%3f`,
  ]
}

describe('A3: headers', () => {
  const ask = async (lines: string[]): Promise<RawAnswer> =>
    (await door.connect(door.proxy)).ask('PUT', START, lines)
  const who = ({ body }: RawAnswer) => /User "([^"]*)"/.exec(JSON.parse(body).message)?.[1]

  test.each<[string, string[], number]>([
    ['one user and a group', ADMIN, 404],
    ['the group second', ['X-Remote-User: u', 'X-Remote-Group: a', 'X-Remote-Group: system:masters'], 404],
    ['names in another case', ['x-remote-USER: u', 'X-REMOTE-group: system:masters'], 404],
    ['a list in one group value', ['X-Remote-User: u', 'X-Remote-Group: a,system:masters'], 403],
    ['no group', ['X-Remote-User: u'], 403],
    ['two users', [...ADMIN, 'X-Remote-User: eve'], 401],
    ['two user IDs', [...ADMIN, 'X-Remote-Uid: 1', 'X-Remote-Uid: 2'], 401],
    ['no user', ['X-Remote-Group: system:masters'], 401],
    ['an empty user', ['X-Remote-User: ', 'X-Remote-Group: system:masters'], 401],
  ])('%s', async (_case, lines, code) => {
    expect((await ask(lines)).code).toBe(code)
  })

  test('new names count at once, on a connection that is open, and the old ones no more', async () => {
    const client = await door.connect(door.proxy)
    expect(who(await client.ask('PUT', START, ['X-Remote-User: u']))).toBe('u')
    await door.setTrust({ 'requestheader-username-headers': '["X-My-User"]' })
    expect((await client.ask('PUT', START, ADMIN)).code).toBe(401)
    expect(who(await client.ask('PUT', START, ['X-My-User: v', ...ADMIN.slice(1, 1)]))).toBe('v')
    await door.setTrust({})
    expect((await client.ask('PUT', START, ADMIN)).code).toBe(404)
  })
})

test('A5: no answer is a redirection, whatever is asked for', async () => {
  const roots = ['/apis', '/openapi/v2', BASE, `${BASE}/version`].map((path): [string, string] => [
    'GET',
    path,
  ])
  for (const [method, path] of [...paths().filter(([, path]) => path.startsWith(`${BASE}/`)), ...roots]) {
    for (const other of [path, ...spellings(path), path.replace('/namespaces', '//namespaces')]) {
      const said = await exchange([`${method} ${other} HTTP/1.1`, 'Host: x', 'Connection: close', ...ADMIN])
      expect(said).not.toMatch(/^HTTP\/1\.1 3|^location:/im)
    }
  }
}, 60_000)

/** Sends a whole request over a connection of its own, and reads until the server closes it. */
async function exchange(lines: string[], rest = ''): Promise<string> {
  const socket = await door.socket(door.proxy)
  const answer = text(socket)
  socket.write(`${lines.join('\r\n')}\r\n\r\n${rest}`)
  return answer
}

describe('A6: after an upgrade that fails the connection is closed, and what came behind it is never served', () => {
  const SECOND = `PUT ${START} HTTP/1.1\r\nHost: x\r\n${ADMIN.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`

  test.each([
    ['a VMI that is absent', CONSOLE, ADMIN, 404],
    ['no right', CONSOLE, ['X-Remote-User: nobody'], 403],
    ['nobody', CONSOLE, [], 401],
    ['a path that is no stream', START.replace('/start', '/expand-spec'), ADMIN, 400],
    ['a path that is nothing', '/nothing', ADMIN, 404],
  ])('%s', async (_case, path, lines, code) => {
    const head = [`GET ${path} HTTP/1.1`, 'Host: x', ...lines, ...HANDSHAKE]
    const said = await exchange(head, SECOND)
    expect(said.match(/^HTTP\/1\.1 \d+/gm)).toEqual([`HTTP/1.1 ${code}`])
    expect(said).toMatch(/^connection: close/im)
  })
})

describe('A7: the only upgrade is to WebSocket 13', () => {
  test.each([
    ['h2c', HANDSHAKE.map((line) => line.replace('websocket', 'h2c')), [426]],
    ['SPDY', HANDSHAKE.map((line) => line.replace('websocket', 'SPDY/3.1')), [426]],
    ['h2c beside WebSocket', HANDSHAKE.map((line) => line.replace('websocket', 'h2c, websocket')), [426]],
    ['WebSocket 8', HANDSHAKE.map((line) => line.replace('13', '8')), [400]],
    ['no version', HANDSHAKE.filter((line) => !line.includes('Version')), [400]],
    ['no key', HANDSHAKE.filter((line) => !line.includes('Key')), [400]],
    ['a key that is none', HANDSHAKE.map((line) => line.replace('AAAA==', '!')), [400]],
    [
      'two of the same subprotocol',
      [...HANDSHAKE, 'Sec-WebSocket-Protocol: plain.kubevirt.io, plain.kubevirt.io'],
      [400],
    ],
    ['a plain GET', ['Connection: close'], [400]],
  ])('%s', async (_case, lines, codes) => {
    const said = await exchange([`GET ${CONSOLE} HTTP/1.1`, 'Host: x', ...ADMIN, ...lines])
    const answers = [...said.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, code]) => Number(code))
    expect(answers).toHaveLength(1)
    expect(codes).toContain(answers[0])
  })
})

test('A8: behind kube-apiserver impersonation was dealt with; its headers count for nothing', async () => {
  const client = await door.connect(door.proxy)
  const lines = ['X-Remote-User: joe', 'Impersonate-User: root', 'Impersonate-Group: system:masters']
  const refused = await client.ask('PUT', START, lines)
  expect(refused.code).toBe(403)
  expect(JSON.parse(refused.body).message).toContain('User "joe"')
  expect((await client.ask('PUT', START, [...ADMIN, 'Impersonate-User: joe'])).code).toBe(404)
})
