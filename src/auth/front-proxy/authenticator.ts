import { X509Certificate } from 'node:crypto'
import { unauthorized } from '../../lib/errors.ts'
import type { Authenticator, Credentials } from '../access.ts'
import { isInTime, proveLeaf, type ProvenLeaf } from '../certificate-chain.ts'
import { subjectOf } from '../client-certificate.ts'
import { readIdentity } from './headers.ts'
import { NoTrust, type FrontProxyTrust } from './trust.ts'
import type { TrustSource } from './trust-cache.ts'

/** Knows the users that kube-apiserver vouches for. */
export interface FrontProxy {
  /** Knows whom the identity headers of a request from a front proxy name; nothing else is looked at without one. */
  authenticator: Authenticator
  /**
   * Knows nobody: throws 401 with the reason why a client's certificate makes no front proxy of it, and where there is
   * nobody to be trusted. To be asked when nobody else knew the client.
   */
  lastWord: Authenticator
}

/** What was found about the certificate of one connection; the dates are asked at each request. */
interface Verdict {
  certificate: Uint8Array
  /** What it was held against: a change puts open connections to the test again. */
  trust: FrontProxyTrust
  proven: ProvenLeaf | undefined
}

/** Intermediates that are remembered, and that are taken from one client. */
const MOST_INTERMEDIATES = 4

/**
 * Believes the identity headers of a request whose connection showed a certificate of the request-header authorities, in
 * time, meant for clients, and of an allowed common name (security A1, contract 2.2 and 2.3). It is decided anew for each
 * request, so that neither an open connection nor a resumed TLS session carries an old decision.
 */
export function buildFrontProxy(source: TrustSource, now: () => Date = () => new Date()): FrontProxy {
  const verdicts = new WeakMap<object, Verdict>()
  const known = new Intermediates()

  function prove(certificate: Uint8Array, credentials: Credentials, trust: FrontProxyTrust): Verdict {
    const shown = (credentials.intermediates ?? []).slice(0, MOST_INTERMEDIATES)
    const intermediates = [...shown.map((der) => new X509Certificate(der)), ...known.list()]
    const proven = proveLeaf(new X509Certificate(certificate), intermediates, trust.authorities)
    if (proven) known.add(proven.intermediates)
    return { certificate, trust, proven }
  }

  /** Why the client is no front proxy; `undefined` where it is one, or shows no certificate. Throws `NoTrust`. */
  function refuse(credentials: Credentials): string | undefined {
    const trust = source.current()
    const { clientCertificate, connection } = credentials
    if (!clientCertificate) return undefined
    let verdict = verdicts.get(connection)
    if (verdict?.certificate !== clientCertificate || verdict.trust !== trust) {
      verdict = prove(clientCertificate, credentials, trust)
      verdicts.set(connection, verdict)
    }
    const { proven } = verdict
    if (!proven) return 'its authority is not the request-header CA, or it is not meant for clients'
    if (!isInTime(proven, now().getTime())) return 'it, or its authority, has expired or is not valid yet'
    return isAllowed(proven.leaf, trust)
      ? undefined
      : 'its common name is none of requestheader-allowed-names'
  }

  return {
    authenticator: {
      async authenticate(credentials) {
        if (!credentials.clientCertificate) return undefined
        try {
          if (refuse(credentials) !== undefined) return undefined
        } catch (error) {
          if (error instanceof NoTrust) return undefined
          throw error
        }
        return readIdentity(credentials.rawHeaders, source.current().headers)
      },
    },
    lastWord: {
      async authenticate(credentials) {
        const reason = explain(() => refuse(credentials))
        if (reason !== undefined) throw unauthorized(reason)
        if (!credentials.clientCertificate) return undefined
        throw unauthorized('Unauthorized: the request comes from a front proxy and names no user')
      },
    },
  }
}

function explain(refuse: () => string | undefined): string | undefined {
  try {
    const reason = refuse()
    return reason && `Unauthorized: the client certificate cannot be accepted: ${reason}`
  } catch (error) {
    if (error instanceof NoTrust) return `Unauthorized: ${error.message}`
    throw error
  }
}

/** The common name alone counts (contract 2.2); a subject with two has none. */
function isAllowed(leaf: X509Certificate, { allowedNames }: FrontProxyTrust): boolean {
  if (allowedNames === 'any') return true
  const { CN: name } = subjectOf(leaf)
  return typeof name === 'string' && allowedNames.has(name)
}

/**
 * A resumed TLS session has the client's certificate and not those between it and the authority. So those that have led
 * to one are remembered, the latest few; all are checked again where they are used.
 */
class Intermediates {
  readonly #known = new Map<string, X509Certificate>()

  list(): X509Certificate[] {
    return [...this.#known.values()]
  }

  add(certificates: readonly X509Certificate[]): void {
    for (const certificate of certificates) {
      this.#known.delete(certificate.fingerprint256)
      this.#known.set(certificate.fingerprint256, certificate)
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_INTERMEDIATES) break
      this.#known.delete(oldest)
    }
  }
}
