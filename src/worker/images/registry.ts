import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { type Dispatcher, request } from '../../lib/http-client.ts'
import type { Credential } from './docker-auth.ts'
import { type ImageError, pullFailed, reasonOf } from './error.ts'
import { ACCEPTED_MANIFESTS, type Descriptor } from './manifest.ts'
import type { Reference } from './reference.ts'
import { Transient } from './retry.ts'
import { basicHeader, fetchToken, parseChallenges } from './token.ts'

/** How registries are reached. */
export interface RegistryOptions {
  /** Connections, with the certificate authorities that are trusted. */
  dispatcher: Dispatcher
  /** Hosts, with ports, that are spoken to without TLS. */
  insecureRegistries: readonly string[]
}

/** A manifest as it came. */
export interface FetchedManifest {
  bytes: Buffer
  digest: string
  mediaType: string | undefined
}

const MANIFEST_LIMIT = 4 * 1024 * 1024
const MAX_REDIRECTS = 5
/** A transfer that brings nothing for that long is given up and tried again. */
const STALLED_MS = 30_000

const REDIRECTS = [301, 302, 303, 307, 308]

type Response = Dispatcher.ResponseData

interface Followed {
  response: Response
  /** Whether the registry itself answered, and not another host. */
  isHome: boolean
}

/**
 * One repository of a registry, asked with one credential or none.
 *
 * Its methods throw `Transient` where another try may help at once, else `ImageError`.
 * Source: "OCI Distribution Specification", pull.
 */
export class Repository {
  /** Whether the registry wanted to know who is asking. */
  asked = false
  readonly #reference: Reference
  readonly #credential: Credential | undefined
  readonly #options: RegistryOptions
  readonly #origin: string
  #authorization: Record<string, string> = {}

  constructor(reference: Reference, credential: Credential | undefined, options: RegistryOptions) {
    this.#reference = reference
    this.#credential = credential
    this.#options = options
    const { registry } = reference
    const scheme = options.insecureRegistries.includes(registry) ? 'http' : 'https'
    // The hub's API has always stood on another name.
    this.#origin = `${scheme}://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`
  }

  /** The manifest under a tag or digest; a digest is checked against what came. */
  async fetchManifest(tagOrDigest: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const response = await this.#get(`manifests/${tagOrDigest}`, { accept: ACCEPTED_MANIFESTS }, signal)
    const bytes = await this.#read(response, signal)
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const stated = tagOrDigest.startsWith('sha256:') ? tagOrDigest : header(response, 'docker-content-digest')
    if (stated?.startsWith('sha256:') && stated !== digest) {
      const text = `${this.#origin} sent a manifest that is not ${stated}: what came has the digest ${digest}`
      throw new Transient(pullFailed(text))
    }
    return { bytes, digest, mediaType: header(response, 'content-type') }
  }

  /** A blob's bytes as they come: unchecked, and to be read to the end or destroyed. */
  async fetchBlob({ digest }: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const { body } = await this.#get(`blobs/${digest}`, {}, signal)
    return body
  }

  async #get(path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    const url = new URL(`${this.#origin}/v2/${this.#reference.repository}/${path}`)
    const first = await this.#follow(url, headers, signal)
    // A host we were redirected to gets no answer to its questions.
    if (first.response.statusCode !== 401 || !first.isHome) return this.#expectOk(first.response, url)
    const challenge = header(first.response, 'www-authenticate') ?? ''
    await first.response.body.dump()
    this.asked = true
    this.#authorization = await this.#answer(challenge, signal)
    const second = await this.#follow(url, headers, signal)
    return this.#expectOk(second.response, url)
  }

  /** Goes where it is sent, taking the `Authorization` header to the registry itself alone. */
  async #follow(start: URL, headers: Record<string, string>, signal?: AbortSignal): Promise<Followed> {
    let url = start
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const isHome = url.origin === this.#origin
      const response = await this.#send(url, { ...headers, ...(isHome && this.#authorization) }, signal)
      const location = header(response, 'location')
      if (!REDIRECTS.includes(response.statusCode) || location === undefined) return { response, isHome }
      await response.body.dump()
      url = this.#resolve(location, url)
    }
    throw pullFailed(`${this.#origin} redirects more than ${MAX_REDIRECTS} times`)
  }

  #resolve(location: string, from: URL): URL {
    if (!URL.canParse(location, from.href))
      throw pullFailed(`${from.origin} redirects to ${JSON.stringify(location)}`)
    const url = new URL(location, from)
    if (url.protocol !== 'https:' && !this.#options.insecureRegistries.includes(url.host)) {
      throw pullFailed(`${from.origin} redirects to ${url.origin}, which is not encrypted: refused`)
    }
    return url
  }

  async #send(url: URL, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    try {
      return await request(url, {
        dispatcher: this.#options.dispatcher,
        headers: { ...headers, 'user-agent': 'virtgate' },
        headersTimeout: STALLED_MS,
        bodyTimeout: STALLED_MS,
        ...(signal && { signal }),
      })
    } catch (cause) {
      signal?.throwIfAborted()
      const error = pullFailed(`cannot reach ${url.origin}: ${reasonOf(cause)}${hint(cause)}`, cause)
      throw isLasting(cause) ? error : new Transient(error)
    }
  }

  async #answer(header: string, signal?: AbortSignal): Promise<Record<string, string>> {
    const challenges = parseChallenges(header)
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer) {
      const token = await fetchToken({
        challenge: bearer,
        scope: `repository:${this.#reference.repository}:pull`,
        credential: this.#credential,
        registry: this.#origin,
        dispatcher: this.#options.dispatcher,
        signal,
      })
      return { authorization: `Bearer ${token}` }
    }
    const basic = challenges.some(({ scheme }) => scheme === 'basic')
    if (basic && this.#credential) return basicHeader(this.#credential)
    throw this.#denied(401)
  }

  async #expectOk(response: Response, url: URL): Promise<Response> {
    const { statusCode, body } = response
    if (statusCode === 200) return response
    await body.dump()
    if (statusCode === 401 || statusCode === 403) throw this.#denied(statusCode)
    const { name } = this.#reference
    if (statusCode === 404) throw pullFailed(`${this.#origin} has no ${name}: check the name and the tag`)
    const error = pullFailed(`${url.origin} answered HTTP ${statusCode} for ${name}`)
    if (statusCode !== 429 && statusCode < 500) throw error
    throw new Transient(error, retryAfterMs(response))
  }

  #denied(statusCode: number): ImageError {
    const what = this.#credential
      ? `does not accept the pull secret's user for`
      : 'wants a login for, or does not know,'
    const todo = this.#credential ? 'check it' : 'check the name, or give the volume an imagePullSecret'
    return pullFailed(`${this.#origin} ${what} ${this.#reference.name} (HTTP ${statusCode}): ${todo}`)
  }

  async #read({ body }: Response, signal?: AbortSignal): Promise<Buffer> {
    const chunks: Buffer[] = []
    let length = 0
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        length += chunk.length
        if (length > MANIFEST_LIMIT) break
        chunks.push(chunk)
      }
    } catch (cause) {
      signal?.throwIfAborted()
      throw new Transient(pullFailed(`${this.#origin} broke off a manifest: ${reasonOf(cause)}`, cause))
    }
    if (length > MANIFEST_LIMIT)
      throw pullFailed(`${this.#origin} sent a manifest of over ${MANIFEST_LIMIT} bytes`)
    return Buffer.concat(chunks)
  }
}

function header({ headers }: Response, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(header(response, 'retry-after') ?? Number.NaN)
  return seconds >= 0 ? seconds * 1000 : undefined
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Whether the same would happen a second later: the name or the certificate is wrong. */
function isLasting(error: unknown): boolean {
  return codeOf(error) === 'ENOTFOUND' || /CERT|SSL|TLS|SIGNATURE/.test(codeOf(error))
}

function hint(error: unknown): string {
  if (/SSL_WRONG_VERSION|SSL_PACKET_LENGTH/.test(codeOf(error))) {
    return '. It does not speak TLS: list it among the insecure registries if that is meant to be so'
  }
  if (/CERT|SIGNATURE/.test(codeOf(error))) return '. Have its certificate authority trusted by this machine'
  return ''
}
