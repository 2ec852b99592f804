/**
 * Security checklist, section H: resource exhaustion, at a whole `virtgate apiserver` over real TLS. The limits of streams
 * (H4) are in `test/http/limits.test.ts` and `test/http/keep-alive.test.ts`.
 */
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GROUP } from '../../src/http/group.ts'
import { registerReadiness } from '../../src/http/readiness.ts'
import { apiOf, type TestApi } from '../helpers/api.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'

const BASE = `/apis/${GROUP}/v1`
const START = `${BASE}/namespaces/default/virtualmachines/absent/start`
const ADMIN = ['X-Remote-User: root', 'X-Remote-Group: system:masters']
const KIB = 1024

let door: FrontDoor
/** Runs from the start, as it takes longer than everything else. */
let slowloris: Promise<string>
let unused: Promise<string>
const opened: { destroy(): void }[] = []

beforeAll(async () => {
  door = await openFrontDoor()
  slowloris = dribble()
  unused = askLate()
})
afterAll(async () => {
  for (const one of opened) one.destroy()
  await door[Symbol.asyncDispose]()
})

/** One header after the other, a second apart, without end. Answers what the server said until it closed. */
async function dribble(): Promise<string> {
  const socket = await door.socket(door.proxy)
  const answer = text(socket)
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n')
  const timer = setInterval(() => socket.write('X-Slow: x\r\n'), 1000)
  try {
    return await answer
  } finally {
    clearInterval(timer)
  }
}

/** Says nothing until requests that began as it connected would long be late, then asks. Answers what the server says. */
async function askLate(): Promise<string> {
  const socket = await door.socket(door.proxy)
  const answer = text(socket)
  await sleep(17_000)
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  return answer
}

/** What somebody else gets meanwhile: 404 of a VM that is absent, where all is well. */
async function askAnew(): Promise<number> {
  const client = await door.connect(door.proxy)
  const { code } = await client.ask('PUT', START, ADMIN)
  client.socket.destroy()
  return code
}

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

describe('H1: HTTP/2', () => {
  const session = async (): Promise<ClientHttp2Session> => {
    const client = connectHttp2(`https://127.0.0.1:${door.port}`, { ca: door.people.cert, ...door.proxy })
    opened.push(client)
    client.on('error', () => {})
    await once(client, 'remoteSettings')
    return client
  }

  test('says how many streams it takes, and how long headers may be', async () => {
    const { remoteSettings } = await session()
    expect(remoteSettings).toMatchObject({ maxConcurrentStreams: 250, maxHeaderListSize: 16 * KIB })
  })

  test('a flood of streams that are begun and taken back ends the connection, and nobody else’s', async () => {
    const { people, proxy } = door
    const own = { host: '127.0.0.1', port: door.port, ca: people.cert, ...proxy }
    const socket = connectTls({ ...own, ALPNProtocols: ['h2'] })
    opened.push(socket)
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    const closed = once(socket.resume(), 'close')
    // Source: RFC 9113, 3.4 and 6; the header block is `GET https://x/` (RFC 7541, appendix A).
    const block = Buffer.from([0x82, 0x87, 0x84, 0x01, 0x01, 0x78])
    // Above our own limit, below that of the library.
    const flood = Array.from({ length: 600 }, (_, n) => [
      frame(0x01, 0x05, 2 * n + 1, block),
      frame(0x03, 0, 2 * n + 1, Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL])),
    ])
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(Buffer.concat([preface, frame(0x04, 0, 0, Buffer.alloc(0)), ...flood.flat()]))
    await closed
    expect(await askAnew()).toBe(404)
  })

  test('headers that are too long are refused', async () => {
    const client = await session()
    const stream = client.request({ ':path': '/livez', 'x-long': 'x'.repeat(20 * KIB) })
    const end = Promise.withResolvers<unknown>()
    stream.on('response', (headers) => end.resolve(headers[':status']))
    stream.on('error', () => end.resolve('refused'))
    stream.on('close', () => end.resolve('refused'))
    expect([431, 'refused']).toContain(await end.promise)
    expect(await askAnew()).toBe(404)
  })
})

describe('H3: a user who asks for too much', () => {
  const path = `${BASE}/namespaces/ns1/virtualmachines/vm1/start`
  /** Until then nobody learns whether the greedy one may. */
  const decided = Promise.withResolvers<void>()
  const atWork: string[] = []
  let api: TestApi
  let root: string
  let authority: TestAuthority

  beforeAll(async () => {
    authority = await makeAuthority()
    const review = async ({ name }: { name: string }) => {
      atWork.push(name)
      if (name === 'greedy') await decided.promise
      return { allowed: false, reason: '' }
    }
    api = apiOf({}, { tls: await servingPair(authority), authorizer: { review } })
    registerReadiness(api.app, [], api.log)
    root = await api.app.listen({ port: 0, host: '127.0.0.1' })
  })
  afterAll(() => api.app.close())

  interface Got {
    code: unknown
    retryAfter: unknown
  }

  function send(session: ClientHttp2Session, user: string, method = 'PUT'): Promise<Got> {
    const stream = session.request({ ':method': method, ':path': path, authorization: `Bearer ${user}` })
    const got = Promise.withResolvers<Got>()
    stream.on('response', (head) => got.resolve({ code: head[':status'], retryAfter: head['retry-after'] }))
    stream.on('error', (error) => got.reject(error))
    stream.resume().end()
    return got.promise
  }

  async function open(): Promise<ClientHttp2Session> {
    const session = connectHttp2(root, { ca: authority.cert })
    opened.push(session)
    await once(session, 'remoteSettings')
    return session
  }

  test('has a share of the server, waits for the rest, and is told to come back; others are served meanwhile', async () => {
    const sessions = await Promise.all([open(), open()])
    const answers = sessions.flatMap((session) => Array.from({ length: 200 }, () => send(session, 'greedy')))
    const early: Got[] = []
    for (const answer of answers) void answer.then((got) => early.push(got))
    await expect.poll(() => early.length, { timeout: 20_000 }).toBe(400 - 32 - 128)
    expect(new Set(early.map((got) => JSON.stringify(got)))).toEqual(
      new Set([JSON.stringify({ code: 429, retryAfter: '1' })]),
    )
    expect(atWork.filter((name) => name === 'greedy').length).toBe(32)
    const other = await open()
    expect((await send(other, 'modest')).code).toBe(403)
    const health = other.request({ ':path': '/livez' })
    expect((await once(health, 'response'))[0][':status']).toBe(200)
    health.close()
    decided.resolve()
    const codes = (await Promise.all(answers)).map(({ code }) => code)
    expect(codes.filter((code) => code === 403).length).toBe(32 + 128)
    // Its share is given back.
    expect((await send(other, 'greedy')).code).toBe(403)
  })
})

/** Sends what may be no request, and reads until the server closes. */
async function say(parts: readonly string[]): Promise<string> {
  const socket = await door.socket(door.proxy)
  const answer = text(socket).catch(() => '')
  for (const part of parts) {
    if (socket.destroyed) break
    socket.write(part)
    await sleep(0)
  }
  return answer
}

describe('H2: requests that are too large', () => {
  const head = (...lines: string[]) => [...lines, 'Host: x', ...ADMIN, '', ''].join('\r\n')
  const put = `PUT ${START} HTTP/1.1`

  test('17 KiB of headers', async () => {
    expect(await say([head('GET /livez HTTP/1.1', `X-Long: ${'x'.repeat(17 * KIB)}`)])).toMatch(
      /^HTTP\/1\.1 4/,
    )
  })

  test('a body that says it has 4 MiB', async () => {
    const said = await say([
      head(put, 'Connection: close', 'Content-Type: application/json', `Content-Length: ${4 * KIB * KIB}`),
    ])
    expect(said).toMatch(/^HTTP\/1\.1 413/)
  })

  test('a body in chunks that never says', async () => {
    const chunk = `${(64 * KIB).toString(16)}\r\n${'x'.repeat(64 * KIB)}\r\n`
    const begin = head(
      put,
      'Connection: close',
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    )
    expect(await say([begin, ...Array.from({ length: 64 }, () => chunk)])).toMatch(/^HTTP\/1\.1 413/)
  })

  test('extensions of a chunk without end', async () => {
    const begin = head(put, 'Content-Type: application/json', 'Transfer-Encoding: chunked')
    const said = await say([`${begin}1;x=`, ...Array.from({ length: 40 }, () => 'x'.repeat(KIB))])
    // Where it is cut off while we write, its answer may be lost.
    expect(said).toMatch(/^HTTP\/1\.1 4|^$/)
  })

  test('keep nobody else from being served', async () => {
    expect(await askAnew()).toBe(404)
  })
})

test('H2: a thousand connections on which nothing is said keep nobody from being served', async () => {
  const idle: Socket[] = []
  for (let n = 0; n < 1000; n += 1) {
    const socket = connectTcp(door.port, '127.0.0.1')
    idle.push(socket)
    opened.push(socket)
    socket.on('error', () => {})
  }
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  expect(await askAnew()).toBe(404)
  for (const socket of idle) socket.destroy()
})

/** What stands between slashes in the code of `src`, by file. Literals alone: none is built from what users say. */
function patterns(): { file: string; source: string }[] {
  const literal =
    /(?<![\w)\]/*.])\s*(?<=[(,=:[!&|?{};\s])\/((?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/[dgimsuvy]*(?=[\s.,;)\]:}]|$)/gm
  return globSync('src/**/*.ts').flatMap((file) => {
    const code = readFileSync(file, 'utf8')
      .replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '')
      .replaceAll(/'(?:\\.|[^'\\\n])*'/g, "''")
    return [...code.matchAll(literal)].map(([, source = '']) => ({ file, source }))
  })
}

/** Whether what may repeat holds something that may repeat: then a text can be split in exponentially many ways. */
function nestsQuantifiers(source: string): boolean {
  const bare = source.replaceAll(/\\./g, 'e').replaceAll(/\[(?:[^\]])*\]/g, 'c')
  const repeats: boolean[] = [false]
  for (let at = 0; at < bare.length; at += 1) {
    const here = bare[at]
    if (here === '(') repeats.push(false)
    else if (here === ')') {
      const inner = repeats.pop() ?? false
      const outer = /^(?:[*+]|\{\d+,\d*\})/.test(bare.slice(at + 1))
      if (inner && outer) return true
      if (inner || outer) repeats[repeats.length - 1] = true
    } else if (here === '*' || here === '+') repeats[repeats.length - 1] = true
  }
  return false
}

describe('H5: patterns take a time that grows with the text', () => {
  test('nested ones are found', () => {
    expect(['(a+)+', '^(?:[a-z]*)*$', String.raw`(\d+,?)+`].map(nestsQuantifiers)).toEqual([true, true, true])
    expect(['a+b*', '(?:ab)+', '(a+)?'].map(nestsQuantifiers)).toEqual([false, false, false])
  })

  test('every pattern that nests is fast on a text that almost fits', () => {
    const all = patterns()
    expect(all.length).toBeGreaterThan(100)
    const slow = all.filter(({ source }) => nestsQuantifiers(source)).filter(({ source }) => isSlow(source))
    expect(slow).toEqual([])
  })
})

/** Doubling a text must not make it a hundred times slower, whatever repeats in it. */
function isSlow(source: string): boolean {
  const pattern = new RegExp(source, 'u')
  return ['a', '0', 'a.', 'a-', 'a,', '1,', ' ', '/a', 'a=', '..', '--', 'aA0', '""', '\\'].some((piece) => {
    const startedAt = process.cpuUsage().user
    pattern.test(`${piece.repeat(28)}\u0000`)
    return process.cpuUsage().user - startedAt > 200_000
  })
}

test('H2: whoever sends headers without end is cut off after 10 s', async () => {
  expect(await slowloris).toMatch(/^HTTP\/1\.1 408 |^$/)
}, 40_000)

test('H2: a connection on which nothing was asked yet is not late', async () => {
  expect(await unused).toMatch(/^HTTP\/1\.1 200 /)
}, 40_000)
