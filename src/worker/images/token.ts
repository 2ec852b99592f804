import { type Dispatcher, request } from '../../lib/http-client.ts'
import { isRecord } from '../../lib/json.ts'
import type { Credential } from './docker-auth.ts'
import { pullFailed, reasonOf } from './error.ts'

/** What a registry wants before it answers. */
export interface Challenge {
  /** Lower case. */
  scheme: string
  params: Record<string, string>
}

const TOKEN_LIMIT = 64 * 1024

/**
 * Reads a `WWW-Authenticate` header. Only the first challenge of each scheme is kept.
 *
 * Source: RFC 9110, section 11.6.1.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  const TOKEN =
    /\s*,?\s*(?:([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z0-9_-]+)(?=\s|,|$))/y
  for (let match = TOKEN.exec(header); match; match = TOKEN.exec(header)) {
    const [, key, quoted, plain, scheme] = match
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), params: {} })
    const last = challenges.at(-1)
    if (key !== undefined && last)
      last.params[key.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
  }
  return challenges
}

/** Where and how a token is asked for. */
export interface TokenRequest {
  challenge: Challenge
  /** As in `repository:team/image:pull`. */
  scope: string
  credential: Credential | undefined
  /** Origin of the registry that sent the challenge. */
  registry: string
  dispatcher: Dispatcher
  signal?: AbortSignal | undefined
}

/**
 * The bearer token for a challenge.
 *
 * The registry says where tokens come from, and that may be another host: it is the registry's own way of checking
 * the credential which was configured for it. It never goes out unencrypted, unless the registry itself does.
 * Throws `ImageError`.
 * Source: "Token Authentication Specification" of the distribution project.
 */
export async function fetchToken(asked: TokenRequest): Promise<string> {
  const url = tokenUrl(asked)
  const { statusCode, text } = await send(url, asked)
  if (statusCode !== 200) {
    throw pullFailed(
      `${url.origin} gave no token for ${asked.registry}: HTTP ${statusCode}${asked.credential ? '; check the pull secret' : ''}`,
    )
  }
  const answer = parseAnswer(text)
  const token = answer.token ?? answer.access_token
  if (typeof token !== 'string' || token === '') throw pullFailed(`${url.origin} answered without a token`)
  return token
}

function tokenUrl({ challenge, scope, registry, credential }: TokenRequest): URL {
  const { realm = '', service } = challenge.params
  if (!URL.canParse(realm))
    throw pullFailed(`${registry} asks for a token from nowhere: ${JSON.stringify(realm)}`)
  const url = new URL(realm)
  const isAsOpen = url.protocol === 'http:' && registry.startsWith('http:')
  if (url.protocol !== 'https:' && !isAsOpen) {
    throw pullFailed(`${registry} asks for a token from ${url.origin}, which is not encrypted: refused`)
  }
  if (credential?.identityToken !== undefined) return url
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', challenge.params.scope ?? scope)
  return url
}

async function send(url: URL, asked: TokenRequest): Promise<{ statusCode: number; text: string }> {
  const { credential, dispatcher, signal } = asked
  const form =
    credential?.identityToken === undefined ? undefined : refreshForm(asked, credential.identityToken)
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      method: form ? 'POST' : 'GET',
      headers: form ? { 'content-type': 'application/x-www-form-urlencoded' } : basicHeader(credential),
      ...(form && { body: form }),
      ...(signal && { signal }),
    })
    let text = ''
    for await (const chunk of body.setEncoding('utf8')) {
      text += String(chunk)
      if (text.length > TOKEN_LIMIT) throw new Error(`the answer is longer than ${TOKEN_LIMIT} bytes`)
    }
    return { statusCode, text }
  } catch (cause) {
    signal?.throwIfAborted()
    throw pullFailed(`cannot get a token for ${asked.registry} from ${url.origin}: ${reasonOf(cause)}`, cause)
  }
}

/** The `Authorization` header of a user and password, or none. */
export function basicHeader(credential: Credential | undefined): Record<string, string> {
  if (credential === undefined) return {}
  const pair = Buffer.from(`${credential.username}:${credential.password}`).toString('base64')
  return { authorization: `Basic ${pair}` }
}

function refreshForm({ challenge, scope }: TokenRequest, refreshToken: string): string {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    service: challenge.params.service ?? '',
    scope: challenge.params.scope ?? scope,
    client_id: 'virtgate',
    refresh_token: refreshToken,
  }).toString()
}

function parseAnswer(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text)
    return isRecord(answer) ? answer : {}
  } catch {
    // Not quoted: it may hold a part of the token.
    return {}
  }
}
