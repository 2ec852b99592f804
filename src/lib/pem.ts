import { createHash, X509Certificate, type KeyObject } from 'node:crypto'

/** The certificates of a PEM text, one by one. */
export function splitBundle(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? []
}

/**
 * SHA-256 of a certificate's public key (its SubjectPublicKeyInfo), base64url: what an authority is known by, whatever
 * else its certificate says. Source: RFC 7469, 2.4; kubeadm's `--discovery-token-ca-cert-hash`.
 */
export function keyHash(pem: string): string {
  return publicKeyHash(new X509Certificate(pem).publicKey)
}

/** The same of a key by itself. */
export function publicKeyHash(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
}
