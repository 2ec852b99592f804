import { connect, type ClientHttp2Session } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import type { ObjectApi } from '../../../src/embedded/api.ts'
import { expired } from '../../../src/lib/errors.ts'
import {
  openKubeApi,
  type Answer,
  type TestKubeApi,
  type TestKubeApiOptions,
} from '../../helpers/kube-api.ts'
import { until } from '../../helpers/object-registry.ts'
import { makeAuthority, servingPair } from '../../helpers/pki.ts'

const MAPS = '/api/v1/namespaces/default/configmaps'
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

let stack = new AsyncDisposableStack()
afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

interface Server extends TestKubeApi {
  url: URL
  ca: string
}

async function listen(options: TestKubeApiOptions = {}): Promise<Server> {
  const authority = await makeAuthority()
  const pair = await servingPair(authority)
  const api = stack.use(await openKubeApi({ ...options, tls: { ...pair, ca: authority.cert } }))
  await api.app.listen({ host: '127.0.0.1', port: 0 })
  // It listens on a port.
  const { port } = api.app.server.address() as AddressInfo
  return { ...api, url: new URL(`https://127.0.0.1:${port}`), ca: authority.cert }
}

/** A watch whose headers have come. */
interface Watch {
  status: number
  events: { type: string; object: Answer['body'] }[]
  ended: Promise<void>
  body: Readable
  leave(): void
}

type Dial = (server: Server, path: string, headers?: Record<string, string>) => Promise<Watch>

const overHttp1: Dial = async ({ url, ca }, path, headers) => {
  const answered = Promise.withResolvers<Watch>()
  const request = httpsRequest(new URL(path, url), {
    ca,
    headers: { authorization: 'Bearer admin', ...headers },
  })
  request.once('response', (response) =>
    answered.resolve(follow(response, response.statusCode ?? 0, () => request.destroy())),
  )
  request.once('error', answered.reject)
  request.end()
  return answered.promise
}

const overHttp2: Dial = async ({ url, ca }, path, headers) => {
  const session: ClientHttp2Session = connect(url, { ca })
  stack.defer(() => session.destroy())
  const stream = session.request({ ':path': path, authorization: 'Bearer admin', ...headers })
  const answered = Promise.withResolvers<Watch>()
  stream.once('response', (head) =>
    answered.resolve(follow(stream, Number(head[':status']), () => stream.close())),
  )
  stream.once('error', answered.reject)
  return answered.promise
}

function follow(body: Readable, status: number, leave: () => void): Watch {
  const events: Watch['events'] = []
  const lines = createInterface({ input: body })
  const ended = Promise.withResolvers<void>()
  lines.on('line', (line) => events.push(JSON.parse(line)))
  lines.once('close', () => ended.resolve())
  // Whoever leaves breaks the connection.
  lines.on('error', () => {})
  return { status, events, ended: ended.promise, body, leave }
}

const create = (api: TestKubeApi, name: string, data = 'x') =>
  api.ask('POST', MAPS, { body: { metadata: { name }, data: { data } } })

test.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
])('changes are told one a line over %s as they happen', async (_name, dial) => {
  const server = await listen()
  const { body } = await server.ask('GET', MAPS)
  const watch = await dial(server, `${MAPS}?watch=true&resourceVersion=${body.metadata.resourceVersion}`)
  expect(watch).toMatchObject({ status: 200, events: [] })
  await create(server, 'a')
  await until(() => watch.events.length === 1)
  await server.ask('DELETE', `${MAPS}/a`)
  await until(() => watch.events.length === 2)
  expect(watch.events).toMatchObject([
    { type: 'ADDED', object: { kind: 'ConfigMap', metadata: { name: 'a' }, data: { data: 'x' } } },
    { type: 'DELETED', object: { metadata: { name: 'a' } } },
  ])
})

test.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
])('a watch over %s ends when its time is over, in order', async (_name, dial) => {
  const server = await listen()
  await create(server, 'a')
  const watch = await dial(server, `${MAPS}?watch=true&timeoutSeconds=1`)
  await watch.ended
  expect(watch.events).toMatchObject([{ type: 'ADDED' }])
})

test.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
])('a client over %s that leaves ends its watch', async (_name, dial) => {
  const seen: AbortSignal[] = []
  const server = await listen()
  const watch = server.registry.api.watch.bind(server.registry.api)
  server.registry.api.watch = (kind, options, signal) => {
    seen.push(signal)
    return watch(kind, options, signal)
  }
  const client = await dial(server, `${MAPS}?watch=true`)
  expect(seen[0]?.aborted).toBe(false)
  client.leave()
  await until(() => seen[0]?.aborted)
})

test('a server that closes ends its watches first', async () => {
  const server = await listen()
  const watch = await overHttp2(server, `${MAPS}?watch=true`)
  await server.app.close()
  await expect(watch.ended).resolves.toBeUndefined()
})

test('tables come a row an event, with the columns once', async () => {
  const server = await listen()
  await create(server, 'a')
  const watch = await overHttp1(server, `${MAPS}?watch=true`, { accept: `${TABLE},application/json` })
  await create(server, 'b')
  await until(() => watch.events.length === 2)
  const [first, second] = watch.events.map(({ object }) => object)
  expect(first).toMatchObject({ kind: 'Table', columnDefinitions: [{ name: 'Name' }, {}, {}] })
  expect(first.rows[0].cells.slice(0, 2)).toEqual(['a', 1])
  expect(first.rows[0].object.metadata.name).toBe('a')
  expect(second.columnDefinitions).toBeUndefined()
  expect(second.rows[0].cells[0]).toBe('b')
})

test('metadata alone is told where that is asked for', async () => {
  const server = await listen()
  await create(server, 'a')
  const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'
  const watch = await overHttp1(server, `${MAPS}?watch=true`, { accept })
  await until(() => watch.events.length === 1)
  expect(watch.events[0]?.object.kind).toBe('PartialObjectMetadata')
  expect(watch.events[0]?.object.data).toBeUndefined()
})

test('a list may come as a watch that says where it ends', async () => {
  const server = await listen()
  await create(server, 'a')
  const query =
    'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion='
  const watch = await overHttp2(server, `${MAPS}?${query}`)
  await until(() => watch.events.length === 2)
  expect(watch.events[1]).toMatchObject({
    type: 'BOOKMARK',
    object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
  })
})

const broken = (error: unknown): ObjectApi['watch'] =>
  // oxlint-disable-next-line require-yield -- it has nothing to yield before it throws.
  async function* fail() {
    throw error
  }

test.each([
  ['at once', false],
  ['later', true],
])('a version that is too old is told %s in the stream', async (_when, isLater) => {
  const server = await listen()
  const gone = expired('too old resource version: 1 (9)')
  server.registry.api.watch = isLater
    ? broken(gone)
    : () => {
        throw gone
      }
  const watch = await overHttp1(server, `${MAPS}?watch=true&resourceVersion=1`)
  await watch.ended
  expect(watch.status).toBe(200)
  expect(watch.events).toMatchObject([
    { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: gone.message } },
  ])
})

test('what breaks a watch is told to the log and not to the client', async () => {
  const server = await listen()
  server.registry.api.watch = broken(new Error('the disk is on fire'))
  const watch = await overHttp1(server, `${MAPS}?watch=true`)
  await watch.ended
  expect(watch.events).toMatchObject([{ type: 'ERROR', object: { code: 500, reason: 'InternalError' } }])
  expect(JSON.stringify(watch.events)).not.toContain('fire')
  expect(server.log.lines).toMatchObject([{ level: 'warn', text: 'a watch broke' }])
})

test('a selector that makes no sense is refused as any other request', async () => {
  const server = await listen()
  const watch = await overHttp1(server, `${MAPS}?watch=true&fieldSelector=spec.nothing%3D1`)
  expect(watch.status).toBe(400)
})

test('a reader that does not read holds the events back instead of filling the memory', async () => {
  const server = await listen()
  let served = 0
  const payload = 'x'.repeat(64 * 1024)
  server.registry.api.watch = async function* flood() {
    for (; served < 2000; served++) {
      // No object looks like that; nobody looks.
      yield { type: 'ADDED', object: {} as never, json: JSON.stringify({ payload }) }
    }
  }
  const watch = await overHttp1(server, `${MAPS}?watch=true`)
  watch.body.pause()
  await new Promise((resolve) => setTimeout(resolve, 300))
  // Sockets on both sides hold some megabytes.
  expect(served).toBeLessThan(500)
  watch.body.resume()
  await watch.ended
  expect(watch.events).toHaveLength(2000)
})
