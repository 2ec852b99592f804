import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { BACKDATE_MS, type KeyPair, type LeafRequest } from './issue.ts'

/** When a certificate is good, in milliseconds since 1970. */
export interface Validity {
  notBefore: number
  notAfter: number
}

/** When the first certificate of a PEM text is good. */
export function validityOf(pem: string): Validity {
  const { validFromDate, validToDate } = new X509Certificate(pem)
  return { notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() }
}

/** When a certificate of ours is to be replaced: after two thirds of its life. Milliseconds since 1970. */
export function renewalTime(pem: string): number {
  return timeOfLife(pem, 2 / 3)
}

/** When that part of a certificate's life is over; it lives from when it was made, not from where it was backdated to. */
export function timeOfLife(pem: string, part: number): number {
  const { notBefore, notAfter } = validityOf(pem)
  const madeAt = notBefore + BACKDATE_MS
  return madeAt + (notAfter - madeAt) * part
}

/** Whether certificate and key belong together: a crash between two writes can leave a torn pair. */
export function isPair({ cert, key }: KeyPair): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  } catch {
    // Half a file or none of ours: not a pair.
    return false
  }
}

/** Whether `authority` signed the certificate, so that its renewal keeps it good. */
export function isSignedBy(cert: string, authority: string): boolean {
  const issuer = new X509Certificate(authority)
  const leaf = new X509Certificate(cert)
  return leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey)
}

/** Whether the certificate says all that is asked for; it may say more. */
export function covers(
  cert: string,
  wanted: Pick<LeafRequest, 'dnsNames' | 'ipAddresses' | 'uris'>,
): boolean {
  const leaf = new X509Certificate(cert)
  const names = (leaf.subjectAltName ?? '').split(', ')
  return (
    (wanted.dnsNames ?? []).every((name) => leaf.checkHost(name, { wildcards: false }) !== undefined) &&
    (wanted.ipAddresses ?? []).every((address) => leaf.checkIP(address) !== undefined) &&
    (wanted.uris ?? []).every((uri) => names.includes(`URI:${uri}`))
  )
}

/** Host names and IP addresses apart, as a certificate wants them. Takes `[::1]`, too. */
export function splitHosts(hosts: Iterable<string>): { dnsNames: string[]; ipAddresses: string[] } {
  const all = [...new Set([...hosts].map((host) => host.replace(/^\[(.*)\]$/, '$1')))]
  return {
    dnsNames: all.filter((host) => isIP(host) === 0),
    ipAddresses: all.filter((host) => isIP(host) !== 0),
  }
}
