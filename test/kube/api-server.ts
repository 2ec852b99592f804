import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { text } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { createAuthority, issue } from '../../certs/issue.ts'

/** What arrived. */
export interface Seen {
  method: string
  path: string
  query: Record<string, string>
  headers: Http2ServerRequest['headers']
  body: string
  /** HTTP version. */
  version: string
  /** Common name of the client certificate. */
  client: string | undefined
}

export type Answer = (seen: Seen, response: Http2ServerResponse) => void | Promise<void>

/** A server with a certificate of its own authority, on a free port. */
export interface ApiServer extends AsyncDisposable {
  url: string
  port: number
  ca: string
  client: { cert: string; key: string }
  seen: Seen[]
  /** Called for upgrades. */
  onUpgrade(handler: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): void
}

const now = new Date()
const ca = await createAuthority({ commonName: 'api-ca', now, days: 2 })
const serving = await issue(ca, {
  commonName: 'api',
  usage: 'server',
  dnsNames: ['api.test'],
  ipAddresses: ['127.0.0.1'],
  now,
  days: 1,
})
const client = await issue(ca, { commonName: 'jane', usage: 'client', now, days: 1 })

/** Starts it; `answer` answers every request. */
export async function startApi(answer: Answer): Promise<ApiServer> {
  const seen: Seen[] = []
  const server = createSecureServer({
    ...serving,
    ca: ca.cert,
    allowHTTP1: true,
    requestCert: true,
    // Clients without a certificate are let in, as kube-apiserver does.
    rejectUnauthorized: false,
  })
  const sockets = new Set<Duplex>()
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('request', (request, response) => {
    void read(request).then((one) => {
      seen.push(one)
      return answer(one, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    ca: ca.cert,
    client,
    seen,
    onUpgrade: (handler) => void server.on('upgrade', handler),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function read(request: Http2ServerRequest): Promise<Seen> {
  const url = new URL(request.url, 'https://x')
  const socket: unknown = request.stream?.session?.socket ?? request.socket
  const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return {
    method: request.method,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    body: await text(request),
    version: request.httpVersion,
    client: peer && commonName(peer),
  }
}

function commonName(certificate: X509Certificate): string {
  return String(certificate.toLegacyObject().subject.CN)
}

/** Answers with JSON. */
export function json(response: Http2ServerResponse, code: number, body: unknown, headers = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** A `Status` that refuses. */
export function failure(code: number, reason: string, message: string, details = {}): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details }
}
