import { request as httpsRequest } from 'node:https'
import { WebSocket } from 'ws'
import { loadKubeconfig } from '../../src/kube/config.ts'

/** How virtctl asks: what it sends and what it does not. Source: contract, virtctl, VC-2. */
const HEADERS = { accept: 'application/json, */*', 'user-agent': 'virtctl/v1.9.0 (linux/amd64)' }

/** An answer as it came. */
export interface Answer {
  code: number
  mediaType: string
  body: Buffer
}

/** A command failed: it prints this and exits 1. */
export class CommandFailed extends Error {
  readonly code: number
  readonly reason: string

  constructor(message: string, code = 0, reason = '') {
    super(message)
    this.name = 'CommandFailed'
    this.code = code
    this.reason = reason
  }
}

/** The requests of one virtctl, and what it was answered. */
export interface Wire {
  /** Method, path and body of each request, oldest first. */
  sent: string[]
  send(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer>
  /** A WebSocket as virtctl opens it. Throws `CommandFailed` with the message of the Status it is refused with. */
  dial(path: string): Promise<WebSocket>
}

/** Opens the way to the server of a kubeconfig. */
export async function openWire(kubeconfig: string): Promise<Wire> {
  const { server, tls } = await loadKubeconfig({ path: kubeconfig })
  const sent: string[] = []
  return {
    sent,
    async send(method, path, body, headers = {}) {
      sent.push([method, path, body].filter((part) => part !== undefined).join(' '))
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
      const options = { method, headers: { ...HEADERS, ...length, ...headers }, ...tls }
      const request = httpsRequest(new URL(path, server), options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            code: response.statusCode ?? 0,
            mediaType: response.headers['content-type'] ?? '',
            body: Buffer.concat(chunks),
          }),
        )
      })
      request.on('error', reject)
      request.end(body)
      return promise
    },
    async dial(path) {
      sent.push(`WS ${path}`)
      const url = new URL(path, server)
      url.protocol = 'wss:'
      const { promise, resolve, reject } = Promise.withResolvers<WebSocket>()
      const options = {
        headers: { 'user-agent': HEADERS['user-agent'] },
        perMessageDeflate: false,
        ...tls,
      }
      const socket = new WebSocket(url, ['plain.kubevirt.io'], options)
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
      socket.once('unexpected-response', (_request, response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => {
          // Source: contract 4.8: what is longer is cut, and then parses no more.
          const { message, reason }: { message: string; reason: string } = JSON.parse(text.slice(0, 1024))
          reject(new CommandFailed(message, response.statusCode, reason))
        })
      })
      return promise
    },
  }
}

/** The JSON of an answer. Throws `CommandFailed` as the client library does for anything but 2xx. */
export function jsonOf({ code, mediaType, body }: Answer): unknown {
  if (code >= 200 && code < 300) {
    return body.length > 0 ? JSON.parse(body.toString()) : undefined
  }
  if (!mediaType.includes('json')) throw new CommandFailed(`HTTP ${code}: ${body.toString()}`, code)
  const status: { message: string; reason: string } = JSON.parse(body.toString())
  throw new CommandFailed(status.message, code, status.reason)
}
