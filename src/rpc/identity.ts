import type { PeerCertificate, TLSSocket } from 'node:tls'

/** Who a connection belongs to, as long as its certificate is valid. */
interface Identity {
  uris: string[]
  validUntil: number
}

const identities = new WeakMap<TLSSocket, Identity>()

/**
 * Whether the peer, whose chain TLS has verified, holds one of these URIs. Asked for each request: a certificate
 * that has expired since the handshake no longer counts.
 */
export function isPeerAllowed(socket: TLSSocket, allowedUris: readonly string[], now = Date.now()): boolean {
  if (!socket.authorized) return false
  const { uris, validUntil } = identityOf(socket)
  return now < validUntil && uris.some((uri) => allowedUris.includes(uri))
}

function identityOf(socket: TLSSocket): Identity {
  const known = identities.get(socket)
  if (known) return known
  const certificate = socket.getPeerX509Certificate()
  const identity = {
    uris: urisOf(certificate?.subjectAltName),
    validUntil: certificate?.validToDate.getTime() ?? 0,
  }
  identities.set(socket, identity)
  return identity
}

/**
 * For `checkServerIdentity`: the server is the one that holds `uri`; its address does not matter. The chain is
 * verified by TLS.
 */
export function expectServer(uri: string) {
  return (_host: string, { subjectaltname }: Pick<PeerCertificate, 'subjectaltname'>): Error | undefined => {
    if (urisOf(subjectaltname).includes(uri)) return undefined
    return new Error(`the server's certificate is not for ${uri} but for ${subjectaltname ?? 'nobody'}`)
  }
}

/** The URIs among the names of a certificate. Node quotes names with unusual characters, which ours do not have: those never match. */
export function urisOf(subjectAltName: string | undefined): string[] {
  const names = subjectAltName?.split(', ') ?? []
  return names.filter((name) => name.startsWith('URI:')).map((name) => name.slice('URI:'.length))
}
