import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  createServer,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { createAuthority, issue } from '../../certs/issue.ts'
import { type Blob, type TestImage, makeBlob } from './images.ts'

/** A request that came in. */
export interface SeenRequest {
  method: string
  path: string
  authorization: string | undefined
}

/** Answers in place of the registry; `false` leaves the request to it. */
export type Fault = (request: IncomingMessage, response: ServerResponse, path: string) => boolean

/** How a registry wants to be asked. */
export interface TestRegistryOptions {
  /** Without TLS. */
  plain?: boolean
  /** Who may pull; everybody where absent. */
  login?: { user: string; password: string; scheme: 'bearer' | 'basic' }
}

const TOKEN = 'a-token-of-the-test-registry'

/** A container registry that speaks the distribution API over TLS, and can be made to misbehave. */
export class TestRegistry implements AsyncDisposable {
  /** All requests, oldest first. */
  readonly seen: SeenRequest[] = []
  /** Asked in order before the registry itself answers. */
  readonly faults: Fault[] = []
  /** Trusts this registry and no other server. */
  readonly agent: Agent
  /** `host:port`. */
  readonly address: string
  readonly #server: Server
  readonly #options: TestRegistryOptions
  readonly #blobs = new Map<string, Blob>()
  readonly #manifests = new Map<string, Blob>()

  private constructor(server: Server, agent: Agent, options: TestRegistryOptions) {
    this.#server = server
    this.agent = agent
    this.#options = options
    this.address = `localhost:${(server.address() as AddressInfo).port}` // it listens on TCP
    server.on('request', (request, response) => this.#handle(request, response))
  }

  /** Starts one on a free port; with `other`, trusted by the same agent. */
  static async start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
    const { server, ca } = options.plain ? { server: createServer(), ca: '' } : await openTls()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TestRegistry(server, new Agent({ connect: { ca, timeout: 2000 } }), options)
  }

  get origin(): string {
    return `${this.#options.plain ? 'http' : 'https'}://${this.address}`
  }

  /** Puts an image under a tag; answers the reference to pull it by. */
  push(repository: string, tag: string, { manifest, blobs }: TestImage): string {
    for (const blob of blobs) this.#blobs.set(blob.descriptor.digest, blob)
    this.#manifests.set(`${repository}:${tag}`, manifest)
    this.#manifests.set(`${repository}:${manifest.descriptor.digest}`, manifest)
    return `${this.address}/${repository}:${tag}`
  }

  /** Puts an index of images that were pushed before under a tag. */
  pushIndex(repository: string, tag: string, images: { image: TestImage; platform: object }[]): string {
    for (const { image } of images) this.push(repository, `part-of-${tag}`, image)
    const manifests = images.map(({ image, platform }) => ({ ...image.manifest.descriptor, platform }))
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
    return this.push(repository, tag, { manifest: makeBlob(mediaType, index), blobs: [] })
  }

  /** Requests whose path has this in it. */
  asked(part: string): SeenRequest[] {
    return this.seen.filter(({ path }) => path.includes(part))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  readonly #handle: RequestListener = (request, response) => {
    const path = request.url ?? ''
    const { authorization } = request.headers
    this.seen.push({ method: request.method ?? '', path, authorization })
    if (this.faults.some((fault) => fault(request, response, path))) return
    if (path.startsWith('/token')) return this.#giveToken(request, response)
    if (!this.#mayPull(authorization)) return this.#challenge(response)
    const [, repository, kind, name] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? []
    const blob = kind === 'blobs' ? this.#blobs.get(name ?? '') : this.#manifests.get(`${repository}:${name}`)
    if (!blob) return void response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    const { mediaType, digest } = blob.descriptor
    const headers = kind === 'blobs' ? {} : { 'content-type': mediaType, 'docker-content-digest': digest }
    response.writeHead(200, { ...headers, 'content-length': blob.bytes.length }).end(blob.bytes)
  }

  #mayPull(authorization: string | undefined): boolean {
    const { login } = this.#options
    if (!login) return true
    return authorization === (login.scheme === 'bearer' ? `Bearer ${TOKEN}` : basic(login))
  }

  #challenge(response: ServerResponse): void {
    const isBearer = this.#options.login?.scheme === 'bearer'
    const challenge = isBearer
      ? `Bearer realm="${this.origin}/token",service="test registry",scope="repository:x:pull"`
      : 'Basic realm="test registry"'
    response.writeHead(401, { 'www-authenticate': challenge }).end()
  }

  #giveToken({ headers }: IncomingMessage, response: ServerResponse): void {
    const { login } = this.#options
    if (login && headers.authorization !== basic(login)) return void response.writeHead(401).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: TOKEN }))
  }
}

/** The contents of a pull secret as the API server hands them out. */
export function pullSecret(registry: string, user: string, password: string): Record<string, string> {
  const auths = { [registry]: { auth: Buffer.from(`${user}:${password}`).toString('base64') } }
  return { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') }
}

function basic({ user, password }: { user: string; password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

async function openTls(): Promise<{ server: Server; ca: string }> {
  const now = new Date()
  const authority = await createAuthority({ commonName: 'test registries', now, days: 1 })
  const pair = await issue(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
    now,
    days: 1,
  })
  return { server: createTlsServer(pair), ca: authority.cert }
}
