import 'reflect-metadata'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { createKey, issue, type KeyPair, type LeafRequest } from '../../certs/issue.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** What an intermediate authority is like. */
export interface IntermediateRequest {
  /** Whether it may issue. */
  ca?: boolean
  /** Object identifiers of the usages it may issue for; any where absent. */
  usages?: string[]
}

/** A certificate signed by an authority that `root` has signed: the pair with the chain in `cert`, leaf first. */
export async function issueThrough(
  root: KeyPair,
  request: Partial<LeafRequest> & Pick<LeafRequest, 'usage'>,
  { ca = true, usages }: IntermediateRequest = {},
): Promise<KeyPair> {
  const now = new Date()
  const key = await createKey()
  const issuer = new x509.X509Certificate(root.cert)
  const certificate = await x509.X509CertificateGenerator.create({
    issuer: issuer.subjectName,
    subject: 'CN=intermediate authority',
    notBefore: new Date(now.getTime() - 60_000),
    notAfter: new Date(now.getTime() + 24 * 3600_000),
    signingAlgorithm: ALGORITHM,
    publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']),
    signingKey: createPrivateKey(root.key).toCryptoKey(ALGORITHM, false, ['sign']),
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(usages ? [new x509.ExtendedKeyUsageExtension(usages)] : []),
    ],
  })
  const intermediate = `${certificate.toString('pem')}\n`
  const leaf = await issue({ cert: intermediate, key }, { commonName: 'leaf', now, days: 1, ...request })
  return { cert: leaf.cert + intermediate, key: leaf.key }
}
