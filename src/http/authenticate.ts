import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { Authenticator, Credentials, User } from '../auth/access.ts'
import { requireUser } from '../auth/authenticate.ts'
import { unauthorized } from '../lib/errors.ts'
import { scopeOf } from './ticket-routes.ts'
import type { Ticket, Tickets } from './tickets.ts'
import { offeredProtocols } from './upgrade.ts'

/** Lets a caller act as somebody else where `Impersonate-*` headers ask for it. Throws 403 where they may not. */
export type Impersonate = (user: User, rawHeaders: string[], signal: AbortSignal) => Promise<User>

/** How identity is found out. */
export interface Identification {
  authenticator: Authenticator
  /** Without it the headers are ignored: behind kube-apiserver they were dealt with there (security: A8). */
  impersonate?: Impersonate | undefined
}

/** Who is asking, after impersonation. Throws 401, and 403 for an impersonation that is not granted. */
export async function identify(
  { authenticator, impersonate }: Identification,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<User> {
  const user = await requireUser(authenticator, credentialsOf(request))
  return impersonate ? impersonate(user, request.raw.rawHeaders, signal) : user
}

/** The ticket that a stream is being opened with; `undefined` where the request shows none. Throws 401. */
export async function redeemTicket(tickets: Tickets, request: FastifyRequest): Promise<Ticket | undefined> {
  const { subresource } = request.routeOptions.config
  const { query } = request
  if (!request.ws || subresource?.type !== 'stream' || !isRecordOf(query, 'ticket')) return undefined
  // Twice in the URL it is a list, and no ticket.
  if (typeof query.ticket !== 'string') throw unauthorized('one ticket opens one stream')
  return tickets.redeem(query.ticket, scopeOf(request, subresource), request.headers.origin)
}

/** What identity is read from. */
export function credentialsOf(request: FastifyRequest): Credentials {
  const socket = connectionOf(request)
  const bearerToken = tokenOf(request)
  return {
    ...certificatesOf(socket),
    ...(bearerToken !== undefined && { bearerToken }),
    rawHeaders: request.raw.rawHeaders,
    connection: socket,
  }
}

/** One object per connection, whatever the protocol: HTTP/2 makes a new `socket` for each request. */
function connectionOf({ raw }: FastifyRequest): object {
  const session = 'stream' in raw && isRecordOf(raw.stream, 'session') ? raw.stream.session : undefined
  return isRecordOf(session, 'socket') && isObject(session.socket) ? session.socket : raw.socket
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isRecordOf<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return isObject(value) && key in value
}

type Certificates = Pick<Credentials, 'clientCertificate' | 'intermediates'>

const certificates = new WeakMap<object, Certificates>()

/** A client that shows more certificates than this is not followed to the end. */
const MOST_CERTIFICATES = 5

/** What the peer has shown, the same arrays for each request: authenticators remember verdicts by them. */
function certificatesOf(socket: object): Certificates {
  const known = certificates.get(socket)
  if (known) return known
  // HTTP/2 hands out a proxy, which has the socket's methods although `in` denies it.
  const tls = socket as Partial<TLSSocket>
  if (typeof tls.getPeerX509Certificate !== 'function') return {}
  const shown: Uint8Array[] = []
  let certificate = tls.getPeerX509Certificate()
  while (certificate && shown.length < MOST_CERTIFICATES) {
    shown.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  const [clientCertificate, ...intermediates] = shown
  if (!clientCertificate) return {}
  const found = { clientCertificate, intermediates }
  certificates.set(socket, found)
  return found
}

function tokenOf(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers
  if (authorization !== undefined) return /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  return request.ws ? tokenInProtocols(request) : undefined
}

const BEARER_PROTOCOL = 'base64url.bearer.authorization.k8s.io.'

/** Browsers cannot set headers on a WebSocket, so the token comes as a subprotocol (contract: WS-4). */
function tokenInProtocols(request: FastifyRequest): string | undefined {
  const found = offeredProtocols(request.headers).filter((name) => name.startsWith(BEARER_PROTOCOL))
  const [protocol] = found
  if (protocol === undefined) return undefined
  if (offeredProtocols(request.headers).length === found.length) {
    throw unauthorized('offer another subprotocol, such as plain.kubevirt.io, beside the one with the token')
  }
  const encoded = protocol.slice(BEARER_PROTOCOL.length)
  if (found.length > 1 || !/^[A-Za-z0-9_-]+$/.test(encoded)) throw unauthorized()
  return Buffer.from(encoded, 'base64url').toString('utf8')
}
