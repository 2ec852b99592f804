import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { readTrust, NoTrust, type FrontProxyTrust } from '../../src/auth/front-proxy/trust.ts'
import type { TrustSource } from '../../src/auth/front-proxy/trust-cache.ts'

/** What kube-apiserver writes into its ConfigMap. */
export function trustData(authority: string, change: Record<string, string | undefined> = {}) {
  const data: Record<string, string | undefined> = {
    'requestheader-client-ca-file': authority,
    'requestheader-allowed-names': '["front-proxy-client"]',
    'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    ...change,
  }
  const present = Object.entries(data).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))
  return Object.fromEntries(present) as Record<string, string>
}

/** A source that a test changes. */
export function trustOf(data: Record<string, string> | undefined): TrustSource & {
  set(data: Record<string, string> | undefined): void
} {
  let state: () => FrontProxyTrust
  const set = (next: Record<string, string> | undefined): void => {
    try {
      const trust = readTrust(next && { data: next })
      state = () => trust
    } catch (error) {
      if (!(error instanceof NoTrust)) throw error
      state = () => {
        throw error
      }
    }
  }
  set(data)
  return { current: () => state(), set }
}

/** An answer over HTTP/1.1. */
export interface RawAnswer {
  code: number
  body: string
}

/** A connection over which requests are written as they are, one after the other. */
export interface RawClient {
  socket: TLSSocket
  /** Sends header lines as they are given, and a body that is none of their business, and reads the answer. */
  ask(method: string, path: string, lines: readonly string[], body?: string): Promise<RawAnswer>
  /** Sends JSON, and reads the answer. */
  send(method: string, path: string, body: object): Promise<RawAnswer>
}

/** Connects over TLS; HTTP/1.1 alone. */
export async function rawClient(port: number, options: ConnectionOptions): Promise<RawClient> {
  const socket = connectTls({ host: '127.0.0.1', port, ALPNProtocols: ['http/1.1'], ...options })
  await once(socket, 'secureConnect')
  let received = Buffer.alloc(0)
  let waiting: PromiseWithResolvers<RawAnswer> | undefined
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    const answer = parse(received.toString('utf8'))
    if (answer) waiting?.resolve(answer)
  })
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error('the connection closed before the answer')))
  const exchange = (start: string, lines: readonly string[], body: string): Promise<RawAnswer> => {
    received = Buffer.alloc(0)
    waiting = Promise.withResolvers()
    const length = `Content-Length: ${Buffer.byteLength(body)}`
    const head = [`${start} HTTP/1.1`, 'Host: virt-api.kubevirt.svc', length, ...lines]
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
    return waiting.promise
  }
  return {
    socket,
    ask: (method, path, lines, body = '') => exchange(`${method} ${path}`, lines, body),
    send: (method, path, body) =>
      exchange(`${method} ${path}`, ['Content-Type: application/json'], JSON.stringify(body)),
  }
}

function parse(text: string): RawAnswer | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const body = text.slice(end + 4)
  const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0)
  if (Buffer.byteLength(body) < length) return undefined
  return { code: Number(text.slice(9, 12)), body }
}

/** One request over HTTP/2; headers may have lists of values. */
export async function askHttp2(
  port: number,
  options: ConnectionOptions,
  headers: Record<string, string | string[]>,
): Promise<RawAnswer> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, options)
  try {
    const stream = session.request(headers, { endStream: true })
    const [head] = await once(stream, 'response')
    return { code: Number(head[':status']), body: await readText(stream) }
  } finally {
    session.destroy()
  }
}
