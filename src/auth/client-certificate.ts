import { X509Certificate } from 'node:crypto'
import type { Authenticator, User } from './access.ts'
import { isInTime, parseBundle, proveLeaf, type ProvenLeaf } from './certificate-chain.ts'

/** What was found about the certificate of one connection. The chain stays; the dates are asked each time. */
interface Verdict {
  certificate: Uint8Array
  /** The authorities it was held against. */
  roots: string
  proven: ProvenLeaf | undefined
  user: User | undefined
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
      return verdict.proven && isInTime(verdict.proven, now().getTime()) ? verdict.user : undefined
    },
  }
}

function judge(der: Uint8Array, roots: string, authorities: X509Certificate[]): Verdict {
  const proven = proveLeaf(new X509Certificate(der), [], authorities)
  return { certificate: der, roots, proven, user: proven && userOf(proven.leaf) }
}

/** The subject as a user; `undefined` where it does not name exactly one. */
function userOf(leaf: X509Certificate): User | undefined {
  const { CN: name, O: groups = [] } = subjectOf(leaf)
  if (typeof name !== 'string' || name === '') return undefined
  return {
    name,
    groups: typeof groups === 'string' ? [groups] : [...groups],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint(leaf)}`] },
  }
}

/** The subject, each value by itself: in the text form, a name could pretend to be two. */
export function subjectOf(leaf: X509Certificate): Record<string, string | string[] | undefined> {
  return leaf.toLegacyObject().subject
}

function fingerprint(leaf: X509Certificate): string {
  return leaf.fingerprint256.replaceAll(':', '').toLowerCase()
}
