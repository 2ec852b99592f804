import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../lib/clock.ts'
import {
  badRequest,
  noSuchPath,
  notFound,
  serviceUnavailable,
  StatusError,
  unauthorized,
} from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { StreamEnded } from '../lib/stream-end.ts'
import type { Actions, GuestRef, NodeUpdate } from './actions.ts'
import { HEADERS, readBody, refuseUpgrade, sendJson, sendStatus } from './answer.ts'
import { LEADER_HEADER, PROOF_HEADER, readEpoch, readProof, type Fence } from './fence.ts'
import { withHeartbeat } from './heartbeat.ts'
import { isPeerAllowed } from './identity.ts'
import { findRoute, type Route } from './routes.ts'
import { splice, spliceHalves, Verdicts } from './splice.ts'
import { RAW_PROTOCOL, RPC_VERSIONS, SESSION_HEADER, toWireError, VERSION_HEADER } from './wire.ts'

/** What answers are made with. */
export interface HandlerOptions {
  actions: Actions
  /** URIs in the certificates of those who may call, such as `spiffe://virtgate/controller`. */
  allowedUris: readonly string[]
  /** Keeps former leaders out; where absent, whoever may call may change guests. */
  fence?: Fence
  log: Log
  clock: Clock
}

/** How long answers that are under way may take when the server closes. */
export const DRAIN_MS = 2_000
/** How long clients may take to ask how their streams ended when the server closes. */
const VERDICT_MS = 500

/** Answers what arrives at a worker. */
export class Handler {
  readonly #options: HandlerOptions
  readonly #verdicts: Verdicts
  readonly #closing = new AbortController()
  readonly #guests = new Set<Duplex>()
  readonly #splices = new Set<Promise<void>>()

  constructor(options: HandlerOptions) {
    this.#options = options
    this.#verdicts = new Verdicts(options.clock)
  }

  /** Takes nothing new, ends what goes on, and stays until clients have asked how their streams ended. */
  async drain(): Promise<void> {
    this.#closing.abort()
    for (const guest of this.#guests) guest.destroy(new StreamEnded('draining'))
    await Promise.all(this.#splices)
    await this.#verdicts.whenTaken(VERDICT_MS)
    this.#verdicts[Symbol.dispose]()
  }

  /** Answers one request; never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const over = new AbortController()
    response.once('close', () => over.abort())
    const signal = AbortSignal.any([over.signal, this.#closing.signal])
    try {
      await this.#serve(request, response, signal)
    } catch (error) {
      if (signal.aborted || response.headersSent) {
        response.destroy()
        return
      }
      sendStatus(response, this.#refusalOf(error, request))
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { actions, clock } = this.#options
    this.#admit(request)
    const url = urlOf(request)
    const session = /^\/w\/v1\/sessions\/([\w-]+)$/.exec(url.pathname)?.[1]
    if (request.method === 'GET' && session !== undefined) {
      sendJson(response, 200, { verdict: this.#verdictOf(session) })
      return
    }
    this.#assertOpen()
    const { route, guest } = this.#routeOf(request, url)
    switch (route.kind) {
      case 'watch': {
        response.writeHead(200, { ...HEADERS, 'content-type': 'application/x-ndjson' })
        // Told at once that it is on, whatever comes first and when.
        response.flushHeaders()
        const updates = withHeartbeat((until) => route.run(actions, until), clock, signal)
        await pipeline(Readable.from(linesOf(updates), { highWaterMark: 1 }), response)
        return
      }
      case 'call': {
        const body = await readBody(request)
        // After the body, which may have taken its time, and right before the work.
        await this.#admitLeader(request, route.isFenced === true)
        const result = await route.run(actions, { body, guest, query: url.searchParams, signal })
        const proof = this.#options.fence?.proof()
        if (proof !== undefined) response.setHeader(PROOF_HEADER, proof)
        sendJson(response, 200, result ?? {})
        return
      }
      case 'stream':
        throw new StatusError(426, 'UpgradeRequired', `this is a stream: upgrade to ${RAW_PROTOCOL}`)
    }
  }

  /** Makes a connection a byte stream, or refuses and closes it; never rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => {})
    const over = new AbortController()
    const abort = (): void => over.abort()
    socket.once('close', abort)
    try {
      const { guest, halfClose } = await this.#dial(request, over.signal)
      guest.on('error', () => {})
      const id = this.#verdicts.next()
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${RAW_PROTOCOL}\r\n${SESSION_HEADER}: ${id}\r\n\r\n`,
      )
      if (head.length > 0) socket.unshift(head)
      await this.#splice(halfClose ? spliceHalves : splice, socket, guest, id)
    } catch (error) {
      // After an upgrade that failed, the connection is never read again (security: A6).
      refuseUpgrade(socket, this.#refusalOf(error, request))
    } finally {
      socket.off('close', abort)
    }
  }

  async #splice(run: typeof splice, socket: Duplex, guest: Duplex, id: string): Promise<void> {
    const splicing = run(socket, guest, this.#options.clock, (verdict) => this.#verdicts.put(id, verdict))
    this.#guests.add(guest)
    this.#splices.add(splicing)
    await splicing
    this.#guests.delete(guest)
    this.#splices.delete(splicing)
  }

  async #dial(request: IncomingMessage, signal: AbortSignal): Promise<{ guest: Duplex; halfClose: boolean }> {
    this.#admit(request)
    this.#assertOpen()
    const url = urlOf(request)
    const { route, guest } = this.#routeOf(request, url)
    if (request.headers.upgrade !== RAW_PROTOCOL || route.kind !== 'stream') {
      throw badRequest(`the only upgrade is to ${RAW_PROTOCOL}, and only on a stream`)
    }
    const stream = await route.run(this.#options.actions, {
      body: Buffer.alloc(0),
      guest,
      query: url.searchParams,
      signal,
    })
    if (!signal.aborted && !this.#closing.signal.aborted) {
      return { guest: stream, halfClose: route.halfClose === true }
    }
    stream.destroy()
    this.#assertOpen()
    throw badRequest('the client went away')
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw serviceUnavailable('the worker is shutting down')
  }

  /** Throws 401 for everybody who is not one of the roles that may call, 400 for a version nobody here speaks. */
  #admit({ socket, headers }: IncomingMessage): void {
    const { allowedUris, clock } = this.#options
    if (!(socket instanceof TLSSocket) || !isPeerAllowed(socket, allowedUris, clock.now())) {
      throw unauthorized('your certificate is not one that may call a worker')
    }
    const version = headers[VERSION_HEADER]
    if (!RPC_VERSIONS.some((known) => known === version)) {
      throw badRequest(
        `this worker speaks ${VERSION_HEADER} ${RPC_VERSIONS.join(', ')}, not ${String(version)}: bring both to neighbouring releases`,
      )
    }
  }

  /** Throws 412 for a former leader, and 400 for a caller that changes guests and does not say in which term it leads. */
  async #admitLeader({ headers }: IncomingMessage, isFenced: boolean): Promise<void> {
    const { fence } = this.#options
    const epoch = readEpoch(headers[LEADER_HEADER])
    if (!fence) return
    if (epoch !== undefined) return fence.admit(epoch, readProof(headers[PROOF_HEADER]))
    if (isFenced) throw badRequest(`only a leader may ask for this: ${LEADER_HEADER} is missing`)
  }

  #routeOf({ method = '' }: IncomingMessage, url: URL): { route: Route; guest: GuestRef } {
    const found = findRoute(method, url)
    if (!found) throw noSuchPath()
    return found
  }

  #verdictOf(id: string): string {
    const verdict = this.#verdicts.take(id)
    if (!verdict) throw notFound({ group: '', kind: 'session' }, id)
    return verdict
  }

  #refusalOf(error: unknown, { method, url }: IncomingMessage): StatusError {
    const refusal = toWireError(error)
    if (refusal.code === 500) {
      this.#options.log.error({ err: refusal.cause ?? refusal, method, url }, 'call failed')
    }
    return refusal
  }
}

function urlOf({ url = '/' }: IncomingMessage): URL {
  // Only path and query are read.
  return new URL(url, 'https://worker')
}

async function* linesOf(updates: AsyncIterable<NodeUpdate>): AsyncGenerator<string> {
  for await (const update of updates) yield `${JSON.stringify(update)}\n`
}
