import { generateKeyPairSync, randomBytes } from 'node:crypto'
import {
  createAuthority,
  importKeys,
  issue,
  loadX509,
  type KeyPair,
  type LeafRequest,
} from '../../certs/issue.ts'

/** An authority for tests. */
export interface TestAuthority extends KeyPair {
  issue(request: Partial<LeafRequest> & Pick<LeafRequest, 'usage'>): Promise<KeyPair>
}

const NOW = new Date()

export async function makeAuthority(commonName = 'test authority'): Promise<TestAuthority> {
  const authority = await createAuthority({ commonName, now: NOW, days: 2 })
  return {
    ...authority,
    issue: (request) => issue(authority, { commonName: 'test', now: NOW, days: 1, ...request }),
  }
}

/** A certificate for 127.0.0.1. */
export async function servingPair(authority: TestAuthority): Promise<KeyPair> {
  return authority.issue({ usage: 'server', ipAddresses: ['127.0.0.1'], dnsNames: ['localhost'] })
}

/** A certificate for clients and servers with an RSA key of that many bits, which no part of virtgate would make. */
export async function rsaPair(
  authority: KeyPair,
  commonName: string,
  bits: number,
  uri?: string,
): Promise<KeyPair> {
  const x509 = await loadX509()
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    issuer: new x509.X509Certificate(authority.cert).subjectName,
    subject: [{ CN: [commonName] }],
    notBefore: new Date(NOW.getTime() - 60_000),
    notAfter: new Date(NOW.getTime() + 3_600_000),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    publicKey: publicKey.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, true, ['verify']),
    signingKey: importKeys(authority.key).privateKey,
    extensions: [
      new x509.ExtendedKeyUsageExtension([clientAuth, serverAuth]),
      ...(uri === undefined ? [] : [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }])]),
    ],
  })
  return {
    cert: certificate.toString('pem'),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
