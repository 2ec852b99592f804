/** Requests for certificates: made where the key is, judged where the authority is. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { importKeys, loadX509 } from './issue.ts'

/** A request that is not signed by its key, is for a key that is too weak, or asks for what it may not. */
export class BadCertificateRequest extends Error {
  constructor(what: string, cause?: unknown) {
    super(`the certificate request ${what}`, cause === undefined ? undefined : { cause })
    this.name = 'BadCertificateRequest'
  }
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** A request for a P-256 key takes some 400 bytes. */
const LONGEST = 4096

/** Asks for a certificate for a P-256 key, PEM, and for nothing else: who the holder is, is said elsewhere. */
export async function createRequest(key: string): Promise<string> {
  const x509 = await loadX509()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [],
    keys: importKeys(key),
    signingAlgorithm: ALGORITHM,
  })
  return `${request.toString('pem')}\n`
}

/**
 * The key that a request, PEM, is for: the sender has its other half. Names, addresses and extensions are refused, not
 * ignored: whoever asks for them expects to get them. Throws `BadCertificateRequest`.
 */
export async function readRequest(pem: string): Promise<KeyObject> {
  if (pem.length > LONGEST) throw new BadCertificateRequest(`is longer than ${LONGEST} characters`)
  const x509 = await loadX509()
  const request = attempt(() => new x509.Pkcs10CertificateRequest(pem))
  const key = attempt(() =>
    createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' }),
  )
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new BadCertificateRequest('is for another key than one of P-256')
  }
  if (!(await request.verify().catch(() => false))) {
    throw new BadCertificateRequest('is not signed by the key that it is for')
  }
  if (request.subject !== '' || request.attributes.length > 0) {
    throw new BadCertificateRequest(
      'asks for names or extensions: leave them out, enrolment says what goes in',
    )
  }
  return key
}

function attempt<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new BadCertificateRequest('cannot be read', error)
  }
}
