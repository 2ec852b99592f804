/** Whether a client's certificate comes from an authority; for every authenticator that goes by certificates. */
import { X509Certificate, type KeyObject } from 'node:crypto'

/** Extended key usage: TLS web client authentication (RFC 5280, 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

/** A client's certificate that comes from an authority. The signatures stay good, the dates have to be asked each time. */
export interface ProvenLeaf {
  leaf: X509Certificate
  /** What stands between the certificate and the authority, nearest to the client first. */
  intermediates: X509Certificate[]
  /** When all of the chain is good, the authority included; milliseconds since 1970. */
  notBefore: number
  notAfter: number
}

/** The certificates of a PEM text. Throws where one cannot be read. */
export function parseBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/**
 * Finds the way from a client's certificate to one of `authorities`, over `intermediates` where need be;
 * `undefined` where there is none. Every signature is checked, that issuers may issue, and that the certificate is meant
 * for clients (a certificate that does not say so is refused: security A1), and that no key can be guessed (security E2).
 * Dates are in the answer.
 *
 * `intermediates` come from the client: nothing about them is believed. Name and path length constraints are not looked
 * at; those who set them hold the authority's key.
 */
export function proveLeaf(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): ProvenLeaf | undefined {
  if (!leaf.keyUsage?.includes(CLIENT_AUTH)) return undefined
  const path = findPath(leaf, new Set(intermediates.filter(mayIssueClients)), authorities)
  if (!path) return undefined
  const all = [leaf, ...path]
  if (!all.every(({ publicKey }) => isStrong(publicKey))) return undefined
  return {
    leaf,
    intermediates: path.slice(0, -1),
    notBefore: Math.max(...all.map(({ validFromDate }) => validFromDate.getTime())),
    notAfter: Math.min(...all.map(({ validToDate }) => validToDate.getTime())),
  }
}

/** Curves and hashes of 256 bits, and RSA as OpenSSL has it at its second level, which is Node's own elsewhere. */
const RSA_BITS = 2048
const CURVES: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1']

function isStrong({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (type === 'rsa' || type === 'rsa-pss') return (details?.modulusLength ?? 0) >= RSA_BITS
  if (type === 'ec') return CURVES.includes(details?.namedCurve)
  return type === 'ed25519' || type === 'ed448'
}

/** Whether the dates of the chain are good at `time`, milliseconds since 1970. */
export function isInTime({ notBefore, notAfter }: ProvenLeaf, time: number): boolean {
  return notBefore <= time && time <= notAfter
}

/** The issuers of `child` up to an authority. Each of `untried` is tried once: a heap of look-alikes takes no longer. */
function findPath(
  child: X509Certificate,
  untried: Set<X509Certificate>,
  authorities: readonly X509Certificate[],
): X509Certificate[] | undefined {
  const root = authorities.find((authority) => isIssuedBy(child, authority))
  if (root) return [root]
  for (const issuer of untried) {
    if (!isIssuedBy(child, issuer)) continue
    untried.delete(issuer)
    const rest = findPath(issuer, untried, authorities)
    if (rest) return [issuer, ...rest]
  }
  return undefined
}

function isIssuedBy(child: X509Certificate, issuer: X509Certificate): boolean {
  return child.checkIssued(issuer) && child.verify(issuer.publicKey)
}

/** An authority that names usages may issue for those alone, as browsers and Go have it. */
function mayIssueClients({ ca, keyUsage }: X509Certificate): boolean {
  // The types say it is always there; a certificate without the extension has none.
  const usages: string[] | undefined = keyUsage
  return ca && (usages?.includes(CLIENT_AUTH) ?? true)
}
