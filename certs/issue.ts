import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  randomBytes,
  X509Certificate,
  type KeyObject,
  type webcrypto,
} from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type * as X509 from '@peculiar/x509'

/** A certificate and its private key. Both PEM; the key is PKCS #8. */
export interface KeyPair {
  cert: string
  key: string
}

/** What an authority is to be like. */
export interface AuthorityRequest {
  commonName: string
  now: Date
  days: number
  /** Keep this key: renews the authority, and all it has signed stays good. A new one when absent. */
  key?: string
}

/** What a certificate is to say. */
export interface LeafRequest {
  /** The user's name in a client certificate. */
  commonName: string
  /** The user's groups in a client certificate. */
  organizations?: readonly string[]
  dnsNames?: readonly string[]
  ipAddresses?: readonly string[]
  uris?: readonly string[]
  usage: 'client' | 'server' | 'both'
  /** Whether keys may be exchanged under it: QEMU's TLS asks for that. Not where absent. */
  keyEncipherment?: boolean
  now: Date
  days: number
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 24 * 60 * 60 * 1000
/** Certificates begin this much before they are made: other machines' clocks may be behind. */
export const BACKDATE_MS = 5 * 60 * 1000

const generate = promisify(generateKeyPair)

/** A new P-256 private key, as PKCS #8 PEM. */
export async function createKey(): Promise<string> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** A self-signed authority that may sign leaves and no further authority. */
export async function createAuthority({ commonName, now, days, key }: AuthorityRequest): Promise<KeyPair> {
  const x509 = await loadX509()
  const privateKey = key ?? (await createKey())
  const keys = importKeys(privateKey)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pemOf(certificate), key: privateKey }
}

/** A new key with a certificate for it, signed by `authority`, which it does not outlive. */
export async function issue(authority: KeyPair, request: LeafRequest): Promise<KeyPair> {
  const key = await createKey()
  return { cert: await certify(authority, createPublicKey(key), request), key }
}

/** A certificate for a P-256 key that somebody else holds, signed by `authority`, which it does not outlive. PEM. */
export async function certify(
  authority: KeyPair,
  subjectKey: KeyObject,
  request: LeafRequest,
): Promise<string> {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(authority.cert)
  const { privateKey: signingKey } = importKeys(authority.key)
  const publicKey = subjectKey.toCryptoKey(ALGORITHM, true, ['verify'])
  const notAfter = request.now.getTime() + request.days * DAY_MS
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    issuer: issuer.subjectName,
    subject: subjectOf(request),
    notBefore: new Date(request.now.getTime() - BACKDATE_MS),
    notAfter: new Date(Math.min(notAfter, issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(keyUsagesOf(request, x509), true),
      new x509.ExtendedKeyUsageExtension(usagesOf(request.usage, x509)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ...alternativeNames(request, x509),
    ],
  })
  return pemOf(certificate)
}

type Library = typeof X509

/** Most starts sign nothing, so the library (0.15 s, 21 MB) is loaded by the first call that does. */
export async function loadX509(): Promise<Library> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

/** A P-256 key as the library takes it. */
export function importKeys(pem: string): webcrypto.CryptoKeyPair {
  const key = createPrivateKey(pem)
  return {
    privateKey: key.toCryptoKey(ALGORITHM, false, ['sign']),
    publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']),
  }
}

/** 127 random bits: never negative, never the same twice. */
function serial(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString('hex')
}

function subjectOf({ commonName, organizations = [] }: LeafRequest): X509.JsonName {
  return [...organizations.map((name) => ({ O: [name] })), { CN: [commonName] }]
}

function keyUsagesOf({ keyEncipherment }: LeafRequest, { KeyUsageFlags }: Library): number {
  const { digitalSignature, keyEncipherment: exchange } = KeyUsageFlags
  return keyEncipherment ? digitalSignature | exchange : digitalSignature
}

function usagesOf(usage: LeafRequest['usage'], { ExtendedKeyUsage }: Library): string[] {
  const { clientAuth, serverAuth } = ExtendedKeyUsage
  if (usage === 'both') return [serverAuth, clientAuth]
  return [usage === 'client' ? clientAuth : serverAuth]
}

function alternativeNames(
  request: LeafRequest,
  { SubjectAlternativeNameExtension }: Library,
): X509.Extension[] {
  const { dnsNames = [], ipAddresses = [], uris = [] } = request
  const wrong = ipAddresses.find((address) => isIP(address) === 0)
  if (wrong !== undefined) throw new RangeError(`${JSON.stringify(wrong)} is no IP address`)
  const names: X509.JsonGeneralName[] = [
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
    ...uris.map((value) => ({ type: 'url' as const, value })),
  ]
  return names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []
}

/** As Node writes it: with line breaks, and one at the end. */
function pemOf(certificate: { rawData: ArrayBuffer }): string {
  return new X509Certificate(Buffer.from(certificate.rawData)).toString()
}
