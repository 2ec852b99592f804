/** Tokens with which a worker enrols once. What the worker is given, and what an installation keeps of it. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { isRecord } from '../lib/json.ts'

/** A token as it is handed over. */
export interface JoinToken {
  /** Key of what is kept of it. */
  id: string
  /** 32 random bytes, base64url. */
  secret: string
  /** `keyHash` of each authority that a controller may show a certificate of. */
  authorities: string[]
}

/** What is kept of a token: nothing that it could be used with. */
export interface KeptToken {
  /** SHA-256 of the secret, base64url. */
  hash: string
  /** The one node it is for; absent: any that is not registered yet. */
  node?: string
  /** When it ends, RFC 3339. */
  expires: string
  /** Once it is used: for which node, and for which key (`publicKeyHash`). */
  used?: { node: string; key: string }
}

const PREFIX = 'virtgate-join'
const ID = /^[0-9a-f]{12}$/
const HASH = /^[\w-]{43}$/

/** A new token, and what is to be kept of it. */
export function createJoinToken(
  { node, expires }: Pick<KeptToken, 'node' | 'expires'>,
  authorities: string[],
): { token: JoinToken; kept: KeptToken } {
  const secret = randomBytes(32).toString('base64url')
  const token = { id: randomBytes(6).toString('hex'), secret, authorities }
  return { token, kept: { hash: hashOf(secret), ...(node !== undefined && { node }), expires } }
}

/** `virtgate-join.<id>.<secret>.<hash of an authority>…`: letters, digits, dots, dashes and underscores. */
export function formatJoinToken({ id, secret, authorities }: JoinToken): string {
  return [PREFIX, id, secret, ...authorities].join('.')
}

/** Whether a text claims to be one of these. */
export function looksLikeJoinToken(text: string): boolean {
  return text.startsWith(`${PREFIX}.`)
}

/** Reads a token. Throws `RangeError`. */
export function parseJoinToken(text: string): JoinToken {
  const [prefix, id = '', secret = '', ...authorities] = text.trim().split('.')
  const isWhole = prefix === PREFIX && ID.test(id) && HASH.test(secret)
  if (!isWhole || authorities.length === 0 || !authorities.every((hash) => HASH.test(hash))) {
    throw new RangeError('this is no join token: make one with "virtgate token create" and give all of it')
  }
  return { id, secret, authorities }
}

/** Whether somebody knows the secret of a token. Takes as long whatever is wrong with it. */
export function isSecretOf({ hash }: KeptToken, secret: string): boolean {
  const [wanted, given] = [Buffer.from(hash), Buffer.from(hashOf(secret))]
  return wanted.length === given.length && timingSafeEqual(wanted, given)
}

/** Reads what is kept of a token; `undefined` where that cannot be read. */
export function parseKeptToken(text: string | undefined): KeptToken | undefined {
  try {
    const kept: unknown = JSON.parse(text ?? '')
    return isKeptToken(kept) ? kept : undefined
  } catch {
    // What cannot be read is no token.
    return undefined
  }
}

function isKeptToken(kept: unknown): kept is KeptToken {
  if (!isRecord(kept) || typeof kept.hash !== 'string' || typeof kept.expires !== 'string') return false
  const { node, used } = kept
  if (node !== undefined && typeof node !== 'string') return false
  return (
    used === undefined || (isRecord(used) && typeof used.node === 'string' && typeof used.key === 'string')
  )
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
