import { randomBytes, randomUUID } from 'node:crypto'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Authorizer } from '../auth/access.ts'
import { authorize } from '../auth/denied.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { badRequest } from '../lib/errors.ts'
import type { FairQueueLimits } from '../lib/fair-queue.ts'
import type { Log } from '../lib/log.ts'
import type { ServerWatch } from '../metrics/server.ts'
import type { SessionCounter } from '../metrics/sessions.ts'
import type { Parts, Subresource } from '../subresources/subresource.ts'
import { Auditor, type AuditLog } from './audit.ts'
import { identify, redeemTicket, type Identification } from './authenticate.ts'
import { isAnswered, signalOf } from './call.ts'
import { LANE_LIMITS, openLane } from './lane.ts'
import { closeGently } from './closing.ts'
import { closeIdleConnections } from './idle-connections.ts'
import { answerUnknownPaths } from './not-found.ts'
import { Sessions, type SessionLimits } from './sessions.ts'
import { buildErrorHandler } from './status.ts'
import { registerSubresources } from './subresource-routes.ts'
import { serverOptions, type Tls } from './tls.ts'
import { Tickets } from './tickets.ts'
import { rememberUsedTickets } from './used-tickets.ts'
import { chooseProtocol, isOriginAllowed, type AllowedOrigins } from './upgrade.ts'

/** What a server is put together from. */
export interface ServerOptions extends Identification {
  parts: Parts
  authorizer: Authorizer
  subresources: readonly Subresource[]
  log: Log
  /** Absent: plain HTTP/1.1, for tests that inject requests. */
  tls?: Tls
  /** From which pages a browser may open streams, besides our own. None by default. */
  allowedOrigins?: AllowedOrigins
  limits?: Partial<SessionLimits>
  /** How many requests are served at the same time, and how many of one user. */
  lane?: FairQueueLimits
  clock?: Clock
  /** Who did what is written here; to `log` where absent. */
  audit?: AuditLog
  /** Sign tickets: see `TicketOptions`. Where absent, tickets are good at this server alone. */
  ticketKeys?: () => readonly Uint8Array[]
  /** Where it is written down which tickets were used; `kubevirt` where absent. */
  installNamespace?: string
  /** Told of sessions that carry bytes. */
  sessionCounter?: SessionCounter
  /** Told of requests and streams. */
  watch?: ServerWatch
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Open streams by kind, such as `console`. */
    countStreams(): Record<string, number>
  }
  interface FastifyRequest {
    /** What is asked for, as the Kubernetes API calls it; absent where that was not looked at. */
    verb: string | undefined
  }
}

const LIMITS: SessionLimits = {
  maxSessions: 1000,
  maxSessionsPerUser: 100,
  maxSessionsPerVmi: 64,
  drainMs: 0,
  reviewMs: 5 * 60_000,
}
/** One message of a client; with the buffers behind it a session stays below 1 MiB. */
const MAX_MESSAGE_BYTES = 512 * 1024

/**
 * The HTTP server with its subresources, not listening yet. More routes may be registered until it listens; each
 * says in `config.access` who may call it, and one that does not is refused with an error.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const { log, clock = systemClock, allowedOrigins = [], parts, watch } = options
  const app = Fastify(serverOptions(options.tls, log)) as unknown as FastifyInstance
  const sessions = new Sessions({ limits: { ...LIMITS, ...options.limits }, clock, log, watch })
  const auditor = new Auditor(options.audit ?? log, parts.events, clock)
  const tickets = buildTickets(options, clock)
  app.decorate('countStreams', () => sessions.counts())
  app.decorateRequest('user', undefined)
  app.decorateRequest('ticket', undefined)
  app.decorateRequest('verb', undefined)
  if (watch) watchAnswers(app, watch)
  app.setErrorHandler(buildErrorHandler(log))
  requireAccess(app)
  answerUnknownPaths(app)
  app.register(websocket, {
    options: { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false, handleProtocols: chooseProtocol },
    errorHandler: (error) => log.debug({ err: error }, 'a client broke its stream'),
    // Left to itself it would close all of them at once.
    preClose: async () => {},
  })
  closeGently(app, clock, () => sessions.drain())
  closeIdleConnections(app)
  // After the plugin's own hook, which says whether a request is an upgrade.
  app.after(() => addGate(app, options, tickets))
  registerSubresources(app, {
    ...options,
    clock,
    sessions,
    auditor,
    tickets,
    review: (request, signal) => checkAgain(request, options, signal),
    isOriginAllowed: ({ headers }) => isOriginAllowed(headers, allowedOrigins),
  })
  return app
}

function buildTickets(
  { ticketKeys = ownKeys(), parts, installNamespace }: ServerOptions,
  clock: Clock,
): Tickets {
  const instance = randomUUID()
  const used = rememberUsedTickets({ store: parts.store, namespace: installNamespace, instance })
  return new Tickets({ keys: ticketKeys, clock, used, instance })
}

function ownKeys(): () => readonly Uint8Array[] {
  const keys = [randomBytes(32)]
  return () => keys
}

/** The client went away before it had an answer. */
const ABANDONED = 499

/** Streams that were opened have no answer, and what they come to is told at their end. */
function watchAnswers(app: FastifyInstance, watch: ServerWatch): void {
  app.addHook('onRequest', async (request, { raw }) => {
    const since = performance.now()
    // Also comes where the client leaves: a watch goes on until its client has seen enough.
    raw.once('close', () => {
      const { routeOptions, is404, ws, verb = request.method.toLowerCase() } = request
      if (ws && !isAnswered(raw)) return
      const code = raw.headersSent ? raw.statusCode : ABANDONED
      watch.answered({ route: is404 ? undefined : routeOptions.url, verb, code }, performance.now() - since)
    })
  })
}

/** A route that nobody decided about is not served (security: B2). */
function requireAccess(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) {
      throw new Error(`${[method].flat().join(', ')} ${url} does not say in config.access who may call it`)
    }
  })
}

/** Finds out who is asking and whether they may, before anything else is done. */
function addGate(app: FastifyInstance, options: ServerOptions, tickets: Tickets): void {
  const enterLane = openLane(options.lane ?? LANE_LIMITS, options.watch)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    // After an upgrade that failed, the connection is never read again (security: A6).
    if (request.ws) reply.header('connection', 'close')
    const access = request.routeOptions.config?.access
    if (access !== 'open') {
      const signal = signalOf(reply.raw)
      request.ticket = await redeemTicket(tickets, request)
      request.user = request.ticket?.user ?? (await identify(options, request, signal))
      if (access) {
        const wants = access(request)
        request.verb = wants.verb
        await enterLane(request, reply, { user: request.user, wants, signal })
        await authorize(options.authorizer, request.user, wants, signal)
      }
    }
    if (request.ws && !request.routeOptions.config?.isStream && !request.is404) {
      throw badRequest('nothing can be upgraded to here')
    }
  })
}

/** Whether the user of an open stream may still use it. */
async function checkAgain(
  request: FastifyRequest,
  options: ServerOptions & { authorizer: Authorizer },
  signal: AbortSignal,
): Promise<void> {
  const access = request.routeOptions.config.access
  if (access === undefined || access === 'open') return
  // A ticket is good for opening a stream; from there on its user counts.
  const user = request.ticket?.user ?? (await identify(options, request, signal))
  await authorize(options.authorizer, user, access(request), signal)
}
