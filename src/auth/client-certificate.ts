import { X509Certificate } from 'node:crypto'
import type { Authenticator, User } from './access.ts'

/** Extended key usage: TLS web client authentication (RFC 5280, 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

/** What was found about the certificate of one connection. The chain stays; the dates are asked each time. */
interface Verdict {
  certificate: Uint8Array
  /** The authorities it was held against. */
  roots: string
  user: User | undefined
  notBefore: number
  notAfter: number
}

/**
 * Knows the holders of client certificates: the common name is the user, every organization a group. The signer, the
 * dates and the usage "client authentication" are checked here, whatever TLS has checked: the same port may serve
 * several authorities. A certificate that does not pass says nothing.
 *
 * `roots` gives the authorities as one PEM text; a new text puts every connection to the test again.
 */
export function buildCertificateAuthenticator(
  roots: () => string,
  now: () => Date = () => new Date(),
): Authenticator {
  const verdicts = new WeakMap<object, Verdict>()
  let parsed: { pem: string; authorities: X509Certificate[] } | undefined

  function authoritiesOf(pem: string): X509Certificate[] {
    if (parsed?.pem !== pem) parsed = { pem, authorities: parseBundle(pem) }
    return parsed.authorities
  }

  return {
    async authenticate({ clientCertificate, connection }) {
      if (!clientCertificate) return undefined
      const pem = roots()
      let verdict = verdicts.get(connection)
      if (verdict?.certificate !== clientCertificate || verdict.roots !== pem) {
        verdict = judge(clientCertificate, pem, authoritiesOf(pem))
        verdicts.set(connection, verdict)
      }
      const time = now().getTime()
      return verdict.notBefore <= time && time <= verdict.notAfter ? verdict.user : undefined
    },
  }
}

function judge(der: Uint8Array, roots: string, authorities: X509Certificate[]): Verdict {
  const leaf = new X509Certificate(der)
  const isOurs = authorities.some((root) => leaf.checkIssued(root) && leaf.verify(root.publicKey))
  // A certificate without the extension may do anything; ours all have it (RFC 5280), so it is asked for.
  const isForClients = leaf.keyUsage?.includes(CLIENT_AUTH) ?? false
  return {
    certificate: der,
    roots,
    user: isOurs && isForClients ? userOf(leaf) : undefined,
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
  }
}

/** The subject as a user; `undefined` where it does not name exactly one. */
function userOf(leaf: X509Certificate): User | undefined {
  // Each value by itself: in the text form, a name could pretend to be two.
  const { CN: name, O: groups = [] }: Record<string, string | string[] | undefined> =
    leaf.toLegacyObject().subject
  if (typeof name !== 'string' || name === '') return undefined
  return {
    name,
    groups: typeof groups === 'string' ? [groups] : [...groups],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint(leaf)}`] },
  }
}

function fingerprint(leaf: X509Certificate): string {
  return leaf.fingerprint256.replaceAll(':', '').toLowerCase()
}

function parseBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}
