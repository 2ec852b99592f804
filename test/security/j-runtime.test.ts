/**
 * Security checklist, section J: traps of the runtime, at a whole `virtgate apiserver` over real TLS and at the Kubernetes
 * API of embedded mode. Patches with members called `__proto__` (J1) are in `test/lib` as well.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { GROUP } from '../../src/http/group.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import { rawClient } from '../helpers/front-proxy.ts'
import { serveStreams, StreamGuest, streamOf, until, VMI_PATH } from '../helpers/stream-server.ts'

const BASE = `/apis/${GROUP}/v1`
const START = `${BASE}/namespaces/default/virtualmachines/absent/start`
const MAPS = '/api/v1/namespaces/default/configmaps'
const ADMIN = ['X-Remote-User: root', 'X-Remote-Group: system:masters']

let door: FrontDoor

beforeAll(async () => {
  door = await openFrontDoor()
})
afterAll(() => door[Symbol.asyncDispose]())

/** What somebody else gets meanwhile: 404 of a VM that is absent, where all is well. */
async function askAnew(): Promise<number> {
  const client = await door.connect(door.proxy)
  const { code } = await client.ask('PUT', START, ADMIN)
  client.socket.destroy()
  return code
}

/** Sends bytes over a connection of their own, and reads until the server closes it. */
async function say(bytes: string | Buffer): Promise<string> {
  const socket = await door.socket(door.proxy)
  const answer = text(socket).catch(() => '')
  socket.write(bytes)
  return answer
}

/** What the source of the program holds, by file. */
function filesWith(pattern: RegExp): string[] {
  return ['src/**/*.{ts,mjs}', 'certs/*.ts']
    .flatMap((glob) => globSync(glob))
    .filter((file) => pattern.test(readFileSync(file, 'utf8')))
    .toSorted()
}

describe('J1: members that are called like a prototype’s', () => {
  const NAMES = ['__proto__', 'constructor', 'prototype']

  test('in headers harm nobody', async () => {
    const client = await door.connect(door.proxy)
    const lines = NAMES.flatMap((name) => [`${name}: polluted`, `X-Remote-Extra-${name}: polluted`])
    expect((await client.ask('PUT', START, [...ADMIN, ...lines])).code).toBe(404)
    expect('polluted' in {}).toBe(false)
  })

  test('nothing reads headers in the way that __proto__ crashes', () => {
    expect(filesWith(/headersDistinct|trailersDistinct/)).toEqual([])
  })

  test.each(NAMES)('%s stays a member of what is stored, through every kind of patch', async (name) => {
    const { client } = door.objects
    const metadata = { name: `j1-${name.replaceAll('_', '')}` }
    const path = `${MAPS}/${metadata.name}`
    const data = (value: string) => ({ data: JSON.parse(`{"${name}":"${value}"}`) as object })
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...data('made') }
    const seen = [await client.call<object>({ method: 'POST', path: MAPS, body })]
    for (const [contentType, body] of [
      ['application/merge-patch+json', data('merged')],
      ['application/json-patch+json', [{ op: 'replace', path: '/data', value: data('replaced').data }]],
      ['application/strategic-merge-patch+json', data('strategic')],
    ] as const) {
      seen.push(await client.call<object>({ method: 'PATCH', path, contentType, body }))
      expect(Object.prototype).not.toHaveProperty('made')
    }
    seen.push(await client.call<object>({ method: 'GET', path }))
    const values = ['made', 'merged', 'replaced', 'strategic', 'strategic']
    for (const [at, value] of values.entries()) {
      expect(JSON.stringify(seen[at])).toContain(`"data":{"${name}":"${value}"}`)
    }
  })
})

test('J1: a step of a JSON patch leads to no prototype', async () => {
  const { client } = door.objects
  const metadata = { name: 'j1-steps' }
  await client.call({
    method: 'POST',
    path: MAPS,
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { x: 'y' } },
  })
  for (const path of [
    '/__proto__/polluted',
    '/data/__proto__/polluted',
    '/data/constructor/prototype/polluted',
  ]) {
    const body = [{ op: 'add', path, value: 'yes' }]
    const patched = client.call({
      method: 'PATCH',
      path: `${MAPS}/j1-steps`,
      contentType: 'application/json-patch+json',
      body,
    })
    await expect(patched).rejects.toMatchObject({ code: 422 })
    expect('polluted' in {}).toBe(false)
  }
})

describe('J2: whole numbers of 64 bits are what they were', () => {
  const VMS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
  const GRACE = 'terminationGracePeriodSeconds'
  const vm = (name: string, grace: string) =>
    `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"${name}"},"spec":{"runStrategy":"Halted",` +
    `"template":{"spec":{"${GRACE}":${grace},"domain":{"devices":{}}}}}}`

  /** Bytes as they come: what a client makes of them is not what is looked at. */
  async function ask(method: string, path: string, body: string, type = 'application/json') {
    const { ca, admin } = door.objects.certificates.current()
    const client = await rawClient(Number(new URL(door.objects.url).port), { ca, ...admin })
    const answer = await client.ask(method, path, [`Content-Type: ${type}`], body)
    client.socket.destroy()
    return answer
  }

  test.each(['9007199254740993', '9223372036854775807', '-9007199254740993'])(
    '%s, through create, get, list, patches, YAML, watch and store',
    async (grace) => {
      const name = `j2${grace}`
      const exact = new RegExp(`"${GRACE}":${grace}\\b`)
      const said = async (method: string, path: string, body = '', type?: string) => {
        const { code, body: text } = await ask(method, path, body, type)
        expect([method, path, code < 300, text]).toEqual([method, path, true, expect.stringMatching(exact)])
      }
      await said('POST', VMS, vm(name, grace))
      await said('GET', `${VMS}/${name}`)
      await said('GET', VMS)
      await said(
        'PATCH',
        `${VMS}/${name}`,
        '{"metadata":{"labels":{"a":"b"}}}',
        'application/merge-patch+json',
      )
      await said(
        'PATCH',
        `${VMS}/${name}`,
        `{"spec":{"template":{"spec":{"${GRACE}":1}}}}`.replace('1', grace),
        'application/merge-patch+json',
      )
      const operations = `[{"op":"test","path":"/spec/template/spec/${GRACE}","value":${grace}},{"op":"add","path":"/metadata/labels/c","value":"d"}]`
      await said('PATCH', `${VMS}/${name}`, operations, 'application/json-patch+json')
      await said(
        'POST',
        VMS,
        `apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: y${name}}\nspec: {runStrategy: Halted, template: {spec: {${GRACE}: ${grace}, domain: {devices: {}}}}}\n`,
        'application/yaml',
      )
      // Our client reads it and writes it back, as controllers do.
      const { client } = door.objects
      const path = `${VMS}/${name}`
      const read = await client.call<object>({ method: 'GET', path })
      await client.call({ method: 'PUT', path, body: read })
      await said('GET', path)
      const lines = client.lines({
        method: 'GET',
        path: VMS,
        query: { watch: 'true', resourceVersion: '0', fieldSelector: `metadata.name=${name}` },
      })
      for await (const line of lines) {
        expect(line).toMatch(exact)
        break
      }
    },
  )

  test('one that has more than 64 bits is refused', async () => {
    const { code, body } = await ask('POST', VMS, vm('j2-large', '9223372036854775808'))
    expect([code, body]).toEqual([422, expect.stringContaining(GRACE)])
  })

  test.each(['mutate', 'validate'])(
    'a webhook that is to %s neither rounds nor refuses one',
    async (verb) => {
      const client = await door.connect({}, door.webhookPort)
      const object = vm('j2', '9223372036854775807')
      const request =
        '{"uid":"u","kind":{"group":"kubevirt.io","version":"v1","kind":"VirtualMachine"},"resource":{"group":"kubevirt.io",' +
        `"version":"v1","resource":"virtualmachines"},"operation":"CREATE","namespace":"default","object":${object}}`
      const review = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":${request}}`
      const { body } = await client.ask(
        'POST',
        `/virtualmachines-${verb}`,
        ['Content-Type: application/json'],
        review,
      )
      client.socket.destroy()
      const { response } = JSON.parse(body)
      expect(response).toMatchObject({ allowed: true })
      const patch = Buffer.from(response.patch ?? '', 'base64').toString()
      expect(patch).not.toMatch(/922337203685477580[0-68-9]/)
    },
  )
})

describe('J3: nobody’s broken connection ends the process', () => {
  test.each<[string, (port: number) => Promise<void>]>([
    ['no TLS', async (port) => breakOff(port, 'GET / HTTP/1.1\r\n\r\n')],
    ['noise', async (port) => breakOff(port, randomBytes(4096))],
    ['half a handshake', async (port) => breakOff(port, Buffer.from('160301020001', 'hex'))],
  ])('%s', async (_what, run) => {
    await run(door.port)
    await run(door.webhookPort)
    expect(await askAnew()).toBe(404)
  })

  test.each([
    ['half a request', `PUT ${START} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`],
    ['half a body of a caller who is known', head(`PUT ${START} HTTP/1.1`, 'Content-Length: 100')],
    ['half an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM'],
    ['nothing at all', ''],
  ])('%s', async (_what, bytes) => {
    for (const port of [door.port, door.webhookPort]) {
      const below = connectTcp(port, '127.0.0.1')
      const { people, proxy } = door
      const socket = connectTls({ socket: below, host: '127.0.0.1', ca: people.cert, ...proxy })
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      const sent = Promise.withResolvers<void>()
      socket.write(bytes, () => sent.resolve())
      await sent.promise
      below.resetAndDestroy()
    }
    expect(await askAnew()).toBe(404)
  })
})

/** A request of somebody who may do everything. */
function head(...lines: string[]): string {
  return [...lines, 'Host: x', ...ADMIN, '', ''].join('\r\n')
}

/** Sends bytes without TLS, and resets the connection. */
async function breakOff(port: number, bytes: string | Buffer): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const sent = Promise.withResolvers<void>()
  socket.write(bytes, () => sent.resolve())
  await sent.promise
  socket.resetAndDestroy()
}

describe('J4: messages of a stream', () => {
  /** A frame as clients send it: masked, unless `mask` is absent. Source: RFC 6455, 5.2. */
  function frame(first: number, payload: Buffer, mask: Buffer | undefined = randomBytes(4)): Buffer {
    const length = Buffer.alloc(9)
    length.writeUInt8(127 | (mask ? 0x80 : 0), 0)
    length.writeBigUInt64BE(BigInt(payload.length), 1)
    const small = Buffer.from([payload.length | (mask ? 0x80 : 0)])
    const masked = mask ? payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)) : payload
    const size = payload.length < 126 ? small : length
    return Buffer.concat([Buffer.from([first]), size, mask ?? Buffer.alloc(0), masked])
  }
  const FIN = 0x80
  const BINARY = 0x02
  const PING = 0x09
  const COMPRESSED = 0x40
  const half = Buffer.alloc(300 * 1024)

  test.each<[string, Buffer[], number]>([
    ['one that is too large', [frame(FIN | BINARY, Buffer.alloc(600 * 1024))], 1009],
    ['one that is too large in fragments', [frame(BINARY, half), frame(FIN, half)], 1009],
    [
      'one in fragments without end',
      Array.from({ length: 200_000 }, (_, n) => frame(n ? 0 : BINARY, Buffer.alloc(0))),
      1008,
    ],
    ['one that is compressed', [frame(FIN | COMPRESSED | BINARY, Buffer.from('x'))], 1002],
    ['one without a mask', [frame(FIN | BINARY, Buffer.from('x'), Buffer.alloc(0)).fill(1, 1, 2)], 1002],
    ['a ping that is too long', [frame(FIN | PING, Buffer.alloc(200))], 1002],
    ['a ping in fragments', [frame(PING, Buffer.from('x'))], 1002],
    ['a kind that there is not', [frame(FIN | 0x05, Buffer.from('x'))], 1002],
  ])('%s', async (_what, frames, code) => {
    const guest = new StreamGuest()
    const server = await serveStreams([streamOf(async () => guest)])
    try {
      const socket = server.dial('/test')
      socket.on('error', () => {})
      await once(socket, 'open')
      const closed = once(socket, 'close')
      // Past what our own client would send.
      rawSocketOf(socket).write(Buffer.concat(frames))
      expect((await closed)[0]).toBe(code)
      await until(() => guest.destroyed)
      expect(guest.received).toEqual([])
    } finally {
      await server.app.close()
    }
  })

  test('compression is not agreed to, and more headers than there may be crash nobody', async () => {
    const server = await serveStreams([streamOf(async () => new StreamGuest())])
    const socket = server.dial('/test', [], { perMessageDeflate: true })
    await once(socket, 'open')
    expect(socket.extensions).toBe('')
    socket.terminate()
    // Source: CVE-2024-37890.
    const many = Array.from({ length: 2100 }, (_, n) => `a${n}: x`)
    const lines = [
      `GET ${VMI_PATH}/test HTTP/1.1`,
      'Host: x',
      ...many,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]
    const flood = connectTcp(server.port, '127.0.0.1')
    flood.end(`${lines.join('\r\n')}\r\n\r\n`)
    expect(await text(flood).catch(() => '')).toMatch(/^HTTP\/1\.1 4|^$/)
    const after = server.dial('/test')
    await once(after, 'open')
    after.terminate()
    await server.app.close()
  })
})

/** What a client's WebSocket writes to: `ws` has no name for it that others may use. */
function rawSocketOf(socket: WebSocket): Socket {
  return (socket as unknown as { _socket: Socket })._socket
}

describe('J5: a request that two readers could understand differently is refused, and nothing behind it is served', () => {
  const behind = `PUT ${START} HTTP/1.1\r\nHost: x\r\n${ADMIN.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`
  const chunked = 'Transfer-Encoding: chunked'
  test.each<[string, string]>([
    ['both lengths', head('PUT / HTTP/1.1', 'Content-Length: 5', chunked) + '0\r\n\r\n'],
    ['two lengths', head('PUT / HTTP/1.1', 'Content-Length: 5', 'Content-Length: 0')],
    ['a list of lengths', head('PUT / HTTP/1.1', 'Content-Length: 0, 0')],
    ['a length with a sign', head('PUT / HTTP/1.1', 'Content-Length: +0')],
    ['a length that is hexadecimal', head('PUT / HTTP/1.1', 'Content-Length: 0x0')],
    ['a space before the colon', head('PUT / HTTP/1.1', 'Content-Length : 0')],
    ['a space before the first header', head('PUT / HTTP/1.1\r\n Content-Length: 0')],
    ['chunks in name only', head('PUT / HTTP/1.1', 'Transfer-Encoding: xchunked')],
    ['chunks not last', head('PUT / HTTP/1.1', 'Transfer-Encoding: chunked, identity')],
    ['a length of a chunk with a sign', head('PUT / HTTP/1.1', chunked) + '+0\r\n\r\n'],
    ['a chunk that ends with a line feed', head('PUT / HTTP/1.1', chunked) + '1\nx\n0\n\n'],
    ['a carriage return alone', 'PUT / HTTP/1.1\r\nHost: x\rContent-Length: 0\r\n\r\n'],
    ['a header that ends with CR CR', 'PUT / HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n'],
    ['a null in a header', head('PUT / HTTP/1.1', 'X: a\0b')],
    ['a folded header', head('PUT / HTTP/1.1', 'X: a\r\n\tContent-Length: 5')],
  ])('%s', async (_what, bytes) => {
    const said = await say(bytes + behind)
    const codes = [...said.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, code]) => code)
    // An answer to the second would be 404 from the subresource of a VM that is absent.
    expect(said).not.toContain('absent')
    expect(codes.length).toBeLessThanOrEqual(1)
    expect(codes.filter((code) => !code?.startsWith('4'))).toEqual([])
  })

  test('nothing asks for a parser that is more lenient', () => {
    expect(filesWith(/insecureHTTPParser|insecure-http-parser/)).toEqual([])
  })
})

/** What is left of the heap and of what hangs on it, once all that nobody holds is gone. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('there is no gc')
  for (let round = 0; round < 3; round += 1) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test('J6: handshakes with client certificates that are read leave nothing behind', async () => {
  const MIB = 1024 * 1024
  const shake = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n += 1) {
      const client = await door.connect(door.proxy)
      expect((await client.ask('PUT', START, ADMIN)).code).toBe(404)
      const closed = once(client.socket, 'close')
      client.socket.destroy()
      await closed
    }
    // What was done is written down, by this test for ever.
    door.log.lines.length = 0
  }
  await shake(50)
  const before = heldBytes()
  await shake(400)
  // A certificate and what is told of it are some 10 KiB, a socket more.
  expect(heldBytes() - before).toBeLessThan(2.75 * MIB)
}, 120_000)

test('J7: memory that was not cleared is only where it is filled before anybody sees it', () => {
  expect(filesWith(/allocUnsafe/)).toEqual([
    'src/lib/datagrams.ts',
    'src/worker/actions/screenshot.ts',
    'src/worker/guest/status.ts',
    'src/worker/streams/backlog.ts',
    'src/worker/streams/console-log.ts',
  ])
})

describe('J8: programs that are started', () => {
  test('are started without a shell in between, and with an environment that is said', () => {
    expect(filesWith(/shell: true|\bexecSync\(|from 'node:child_process'.*\bexec\b/)).toEqual([])
    const starters = filesWith(/\b(?:spawn|spawnSync|execFile|execFileSync|fork)\(/)
    expect(starters.filter((file) => !/\benv: |\benv,/.test(readFileSync(file, 'utf8')))).toEqual([
      // This very program.
      'src/roles/worker-process.ts',
      'src/worker/fence/fence.ts',
    ])
    expect(filesWith(/env: \{ \.\.\.process\.env|env: process\.env/)).toEqual(['src/node.mjs'])
  })
})

test.each([
  ['20.20.2', false],
  ['24.14.0', false],
  ['24.14.1', true],
  ['25.8.1', false],
  ['25.8.2', true],
  ['26.0.0', true],
])('J10: on Node %s the program starts: %s', (version, starts) => {
  const code =
    `Object.defineProperty(process.versions, 'node', { value: '${version}' });` +
    `const { isNewEnough } = await import('./src/node.mjs'); console.log(isNewEnough())`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
  expect(stdout.trim()).toBe(String(starts))
})
