import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { badRequest, StatusError } from '../lib/errors.ts'
import type { Framing } from '../subresources/subresource.ts'
import { CHANNEL_PROTOCOLS } from './framing/channels.ts'

/** The subprotocol of all streams; what flows is as the stream has it. Source: contract WS-1. */
export const PLAIN = 'plain.kubevirt.io'

/** Says which version is spoken, on every refusal of an upgrade (contract 4.3). */
export const UPGRADE_HEADERS = { 'sec-websocket-version': '13' }

/**
 * Why a request to a stream is no WebSocket handshake; `undefined` where it is one. Checked before anything that a
 * plain GET must not do, such as taking a session over (contract: F10).
 */
export function refuseHandshake(headers: IncomingHttpHeaders): StatusError | undefined {
  if (!hasToken(headers.connection, 'upgrade')) {
    return badRequest('this is a stream: the request must be a WebSocket handshake (Connection: Upgrade)')
  }
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    return new StatusError(
      426,
      'UpgradeRequired',
      'this is a stream: the only upgrade it takes is to "websocket"',
    )
  }
  if (headers['sec-websocket-version'] !== '13') {
    return badRequest('Sec-WebSocket-Version must be 13')
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    return badRequest('Sec-WebSocket-Key must be 16 bytes in base64')
  }
  return refuseProtocols(offeredProtocols(headers))
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

function refuseProtocols(offered: string[]): StatusError | undefined {
  if (offered.every((name) => TOKEN.test(name)) && new Set(offered).size === offered.length) return undefined
  return badRequest('Sec-WebSocket-Protocol must be a list of different tokens')
}

/** The subprotocols a client offers, in order. */
export function offeredProtocols(headers: IncomingHttpHeaders): string[] {
  const offered = headers['sec-websocket-protocol']
  return offered === undefined ? [] : offered.split(',').map((name) => name.trim())
}

const channelled = new WeakSet<object>()

/** Says before the upgrade which subprotocols the stream of a request speaks. */
export function allowProtocols(request: FastifyRequest['raw'], framing: Framing): void {
  if (framing === 'exec') channelled.add(request)
}

/** What to answer to an offer: the first that the stream speaks, else none. Never one that carries a token. */
export function chooseProtocol(offered: Set<string>, request: IncomingMessage): string | false {
  const spoken: string[] = channelled.has(request) ? [...CHANNEL_PROTOCOLS, PLAIN] : [PLAIN]
  return [...offered].find((name) => spoken.includes(name)) ?? false
}

/** From which pages a browser may open streams: `any` only where identity never comes from the browser itself. */
export type AllowedOrigins = 'any' | readonly string[]

/** Whether the page that opens a stream may. No `Origin`: no browser. Source: security C6, G3. */
export function isOriginAllowed(headers: IncomingHttpHeaders, allowed: AllowedOrigins): boolean {
  const { origin } = headers
  if (origin === undefined || allowed === 'any') return true
  return allowed.includes(origin) || origin === `https://${headers.host}`
}

function hasToken(header: string | undefined, token: string): boolean {
  return header?.split(',').some((part) => part.trim().toLowerCase() === token) ?? false
}
