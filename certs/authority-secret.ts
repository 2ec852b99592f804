/** An authority as a Secret: `tls.crt` and `tls.key` are what signs, so that other tools can read it, too. */
import { isPair } from './inspect.ts'
import type { KeyPair } from './issue.ts'
import { bundleOf, type Authority } from './rotation.ts'

/** Keys of a Secret with plain text for values. */
export type SecretText = Record<string, string>

/** The Secret of an authority holds something else. It is left as it is: others may depend on what it was. */
export class AuthorityUnreadable extends Error {
  constructor(what: string, cause?: unknown) {
    super(
      `${what}: put back what was there, or delete the Secret to begin with a new authority, which nobody believes yet ` +
        '(workers then have to enrol again)',
      cause === undefined ? undefined : { cause },
    )
    this.name = 'AuthorityUnreadable'
  }
}

interface History {
  publishedAt?: number
  retired: Authority['retired']
  request?: string
}

/** What goes into the Secret. */
export function formatAuthority(authority: Authority): SecretText {
  const { active, next, retired, request } = authority
  const history: History = {
    ...(next?.publishedAt !== undefined && { publishedAt: next.publishedAt }),
    retired,
    ...(request !== undefined && { request }),
  }
  return {
    'tls.crt': active.cert,
    'tls.key': active.key,
    ...(next && { 'next.crt': next.pair.cert, 'next.key': next.pair.key }),
    'ca.crt': bundleOf(authority),
    'history.json': JSON.stringify(history),
  }
}

/** Reads it back. Throws `AuthorityUnreadable`. */
export function parseAuthority(text: SecretText): Authority {
  const active = pairOf(text, 'tls')
  if (!active) throw new AuthorityUnreadable('tls.crt and tls.key are no certificate with its key')
  const next = pairOf(text, 'next')
  if (!next && text['next.crt'] !== undefined) {
    throw new AuthorityUnreadable('next.crt and next.key are no certificate with its key')
  }
  const { publishedAt, retired, request } = parseHistory(text['history.json'])
  return {
    active,
    ...(next && { next: { pair: next, ...(publishedAt !== undefined && { publishedAt }) } }),
    retired,
    ...(request !== undefined && { request }),
  }
}

function pairOf(text: SecretText, name: string): KeyPair | undefined {
  const [cert, key] = [text[`${name}.crt`], text[`${name}.key`]]
  return cert !== undefined && key !== undefined && isPair({ cert, key }) ? { cert, key } : undefined
}

function parseHistory(text: string | undefined): History {
  try {
    const history: unknown = JSON.parse(text ?? '')
    if (isHistory(history)) return history
  } catch (error) {
    throw new AuthorityUnreadable('history.json is no JSON', error)
  }
  throw new AuthorityUnreadable('history.json does not say which authorities are retired')
}

function isHistory(value: unknown): value is History {
  if (typeof value !== 'object' || value === null || !('retired' in value)) return false
  const { retired } = value
  return (
    Array.isArray(retired) &&
    retired.every((one: unknown) => {
      if (typeof one !== 'object' || one === null || !('cert' in one) || !('retiredAt' in one)) return false
      return typeof one.cert === 'string' && typeof one.retiredAt === 'number'
    })
  )
}
