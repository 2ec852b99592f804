import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  createConnection,
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket,
} from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import type { HttpGet } from '../../../src/worker/probes/handler.ts'
import { tryPort } from '../../../src/worker/probes/try-port.ts'
import { makeAuthority, servingPair } from '../../helpers/pki.ts'

const open: (TcpServer | Server)[] = []
afterEach(async () => {
  for (const server of open.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  }
})

async function listen(server: TcpServer): Promise<number> {
  open.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Ports that were dialled, whatever the URL said: they are all there is of the guest. */
let dialled: number[] = []
async function dial(port: number, signal: AbortSignal) {
  dialled.push(port)
  const socket = createConnection({ host: '127.0.0.1', port, allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect', { signal })
  return socket
}

function probe(change: Partial<HttpGet> & { port: number }, timeoutSeconds = 5) {
  dialled = []
  const handler: HttpGet = { type: 'http', scheme: 'http', host: 'vm1', path: '/', headers: [], ...change }
  const { signal } = new AbortController()
  return tryPort(handler, { dial, timeoutSeconds, clock: systemClock, signal })
}

const serve = (answer: RequestListener) => listen(createServer(answer))

test.each([
  [200, undefined],
  [204, undefined],
  [302, undefined],
  [399, undefined],
  [400, 'it was answered with 400'],
  [503, 'it was answered with 503'],
])('a page that is answered with %i', async (status, why) => {
  const port = await serve((_request, response) => response.writeHead(status).end())
  expect(await probe({ port })).toBe(why)
})

test('the request is the one of the probe', async () => {
  const seen: IncomingMessage[] = []
  const port = await serve((request, response) => {
    seen.push(request)
    response.end()
  })
  const headers = [
    { name: 'X-Many', value: '1' },
    { name: 'x-many', value: '2' },
  ]
  expect(await probe({ port, path: '//live?full=1', headers })).toBeUndefined()
  expect(await probe({ port, host: 'www.example.org' })).toBeUndefined()
  const own = [
    { name: 'Host', value: 'mine' },
    { name: 'User-Agent', value: 'me' },
  ]
  expect(await probe({ port, headers: own })).toBeUndefined()
  expect(seen.map(({ method, url, headers: { host } }) => [method, url, host])).toEqual([
    ['GET', '//live?full=1', `vm1:${port}`],
    ['GET', '/', `www.example.org:${port}`],
    ['GET', '/', 'mine'],
  ])
  expect(seen[0]?.headersDistinct['x-many']).toEqual(['1', '2'])
  expect(seen.map(({ headers: { 'user-agent': agent } }) => agent)).toEqual([
    'kube-probe/virtgate',
    'kube-probe/virtgate',
    'me',
  ])
})

test('a header that HTTP has no form for is a failure', async () => {
  const port = await serve((_request, response) => response.end())
  expect(await probe({ port, headers: [{ name: 'a', value: 'b\r\nc: d' }] })).toContain('ERR_INVALID_CHAR')
})

test('redirects to the same host are followed, also to another port and by TLS', async () => {
  const pair = await servingPair(await makeAuthority())
  const paths: string[] = []
  const answer: RequestListener = ({ url = '' }, response) => {
    paths.push(url)
    response.writeHead(url === '/end' ? 200 : 301, { location: '/end' }).end()
  }
  const tlsPort = await listen(createTlsServer(pair, answer))
  const port = await serve(({ url = '' }, response) => {
    paths.push(url)
    response.writeHead(302, { location: `https://vm1:${tlsPort}/there` }).end()
  })
  expect(await probe({ port, path: '/begin' })).toBeUndefined()
  expect(paths).toEqual(['/begin', '/there', '/end'])
  expect(dialled).toEqual([port, tlsPort, tlsPort])
})

test('a redirect to another host passes, and nobody goes there', async () => {
  const port = await serve((_request, response) =>
    response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
  )
  expect(await probe({ port })).toBeUndefined()
  expect(dialled).toEqual([port])
})

test('whoever is sent in circles gives up', async () => {
  const port = await serve((_request, response) => response.writeHead(307, { location: '/' }).end())
  expect(await probe({ port })).toBe('it was sent elsewhere 10 times')
  expect(dialled).toHaveLength(10)
})

test('a redirect to what is no URL is a failure', async () => {
  const port = await serve((_request, response) => response.writeHead(302, { location: 'http://[' }).end())
  expect(await probe({ port })).toBe('it was sent to something that is no URL')
})

test('TLS is spoken with whatever certificate is shown', async () => {
  const pair = await servingPair(await makeAuthority())
  const port = await listen(createTlsServer(pair, (_request, response) => response.writeHead(200).end()))
  expect(await probe({ port, scheme: 'https' })).toBeUndefined()
  expect(await probe({ port })).toMatch(/the connection has failed|answered with 400/)
})

test.each<[string, (socket: Socket) => void, RegExp]>([
  [
    'sends headers without end',
    (socket) => flood(socket, 'HTTP/1.1 200 OK\r\nA: ', 'a'),
    /HPE_HEADER_OVERFLOW/,
  ],
  ['sends a line without end', (socket) => flood(socket, '', '\u0000'), /connection has failed: HPE_/],
  ['announces itself for ever', (socket) => flood(socket, '', 'HTTP/1.1 100 Continue\r\n\r\n'), /within 1 s/],
  ['says nothing', () => {}, /within 1 s/],
  ['hangs up', (socket) => void socket.destroy(), /connection has failed: ECONNRESET/],
  [
    'wants another protocol',
    (socket) => void socket.write('HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    /within 1 s/,
  ],
])('a guest that %s has failed, and no more than a little of it is read', async (_what, answer, why) => {
  let ended: Promise<unknown> | undefined
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    ended = once(socket, 'close').catch(() => {})
    socket.resume()
    answer(socket)
  })
  const port = await listen(server)
  expect(await probe({ port }, 1)).toMatch(why)
  await ended
})

test('a page without end is not read', async () => {
  const ended = Promise.withResolvers<number>()
  const port = await listen(
    createTcpServer((socket) => {
      socket.on('error', () => {}).on('close', () => ended.resolve(socket.bytesWritten))
      socket.resume()
      flood(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'a')
    }),
  )
  expect(await probe({ port })).toBeUndefined()
  expect(await ended.promise).toBeLessThan(64 * 1024 * 1024)
})

function flood(socket: Socket, begin: string, text: string): void {
  const piece = text.repeat(Math.ceil(65_536 / text.length))
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.write(begin)
  socket.on('drain', more)
  more()
}
