import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'
import { dialStream } from '../../src/kube/stream.ts'
import { failure, startApi, type ApiServer } from './api-server.ts'

const PATH = '/apis/subresources.kubevirt.io/v1/namespaces/dev/virtualmachineinstances/a/console'

function configOf(api: ApiServer, token?: string) {
  return {
    server: api.url,
    namespace: 'dev',
    tls: { ca: api.ca, ...api.client },
    token: async () => token,
  }
}

/** An API whose upgrades all succeed. */
async function startEcho(serve: (socket: WebSocket) => void) {
  const api = await startApi(() => {})
  const sockets = new WebSocketServer({ noServer: true })
  const upgrades: { url: string; protocol: string; authorization: string }[] = []
  api.onUpgrade((request, socket, head) => {
    const { 'sec-websocket-protocol': protocol = '', authorization = '' } = request.headers
    upgrades.push({ url: request.url ?? '', protocol, authorization })
    sockets.handleUpgrade(request, socket, head, serve)
  })
  return { api, upgrades }
}

test('bytes go both ways under the subprotocol of KubeVirt', async () => {
  const { api, upgrades } = await startEcho((socket) => {
    socket.on('message', (data) => {
      socket.send(data)
      socket.close(1000, 'done')
    })
  })
  await using _api = api
  const { duplex, ended } = await dialStream(configOf(api, 'secret'), PATH)
  duplex.write('hello')
  expect(await text(duplex)).toBe('hello')
  expect(await ended).toEqual({ code: 1000, reason: 'done' })
  expect(upgrades).toEqual([{ url: PATH, protocol: 'plain.kubevirt.io', authorization: 'Bearer secret' }])
})

test.each([
  ['a Status', JSON.stringify(failure(409, 'Conflict', 'VMI is not running')), 409, 'VMI is not running'],
  ['text', 'no such thing', 404, 'no such thing'],
])('a refusal with %s before the upgrade is thrown', async (_case, body, code, message) => {
  const api = await startApi(() => {})
  await using _api = api
  api.onUpgrade((_request, socket) => {
    socket.end(`HTTP/1.1 ${code} No\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  })
  await expect(dialStream(configOf(api), PATH)).rejects.toMatchObject({ code, message })
})

test('an abort closes the stream', async () => {
  const closed = Promise.withResolvers<void>()
  const { api } = await startEcho((socket) => socket.on('close', () => closed.resolve()))
  await using _api = api
  const gone = new AbortController()
  const { duplex } = await dialStream(configOf(api), PATH, gone.signal)
  gone.abort()
  await once(duplex, 'close')
  await closed.promise
  expect(duplex.destroyed).toBe(true)
})

test('an abort ends a dial that nobody answers', async () => {
  const api = await startApi(() => {})
  await using _api = api
  const arrived = Promise.withResolvers<void>()
  api.onUpgrade(() => arrived.resolve())
  const gone = new AbortController()
  const dial = dialStream(configOf(api), PATH, gone.signal)
  await arrived.promise
  gone.abort(new Error('gone'))
  await expect(dial).rejects.toThrow('gone')
})

test('where nobody listens, the message says where', async () => {
  const api = await startApi(() => {})
  await api[Symbol.asyncDispose]()
  await expect(dialStream(configOf(api), PATH)).rejects.toThrow(
    `cannot reach the Kubernetes API at ${api.url}`,
  )
})
