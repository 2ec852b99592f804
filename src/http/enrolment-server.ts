/** The listener at which workers get their certificates. Security: E1, E4, H2. */
import type { X509Certificate } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import {
  CHECK_IN_PATH,
  ENROL_PATH,
  RENEW_PATH,
  type CheckIn,
  type CheckInAnswer,
  type EnrolRequest,
  type IssuedCertificate,
  type RenewRequest,
} from '../kinds/enrolment.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { badRequest, StatusError, unauthorized } from '../lib/errors.ts'
import { buildFailureLimit } from '../lib/failure-limit.ts'
import { isRecord } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import { STRICT_SERVER_TLS } from '../lib/strict-tls.ts'
import { closeGently } from './closing.ts'
import { answerUnknownPaths } from './not-found.ts'
import { buildErrorHandler } from './status.ts'

/** The pair that is shown, and whose certificates are believed; PEM. */
export interface EnrolmentTls {
  cert: string
  key: string
  ca: string
}

/** A worker that has shown its certificate. */
export interface KnownWorker {
  node: string
  /** The certificate, PEM. */
  certificate: string
}

/** What is asked of whoever holds the authority. Refusals are `StatusError`s. */
export interface Enrolment {
  enrol(request: EnrolRequest & { token: string }): Promise<IssuedCertificate>
  renew(worker: KnownWorker, request: RenewRequest): Promise<IssuedCertificate>
  /** Answers once there is something to be said, or after a while. */
  checkIn(worker: KnownWorker, request: CheckIn, signal: AbortSignal): Promise<CheckInAnswer>
}

/** What the listener is put together from. */
export interface EnrolmentServerOptions {
  tls: EnrolmentTls
  enrolment: Enrolment
  /** The node that a certificate, whose chain has been verified, is for; `undefined` where it is no worker's. */
  nodeOf(certificate: X509Certificate): string | undefined
  log: Log
  clock?: Clock
}

const KIB = 1024
/** A request takes some 500 bytes. */
const BODY_LIMIT = 8 * KIB
/** Requests for certificates at the same time; check-ins wait and are not among them. */
const MOST_AT_ONCE = 16
/** Failures of one address in a minute; workers behind one address are many, and do not fail. */
const MOST_FAILURES = 20
const MINUTE_MS = 60_000

/** The listener, not listening yet. */
export function buildEnrolmentServer(options: EnrolmentServerOptions): FastifyInstance {
  const { enrolment, log, clock = systemClock } = options
  const failures = buildFailureLimit({ most: MOST_FAILURES, windowMs: MINUTE_MS, clock })
  let running = 0

  /** Runs what may be tried by anybody: not too often, not too much of it at once. */
  async function limited<T>(request: FastifyRequest, run: () => Promise<T>): Promise<T> {
    const waitMs = Math.max(failures.waitMs(request.ip), running >= MOST_AT_ONCE ? 1000 : 0)
    if (waitMs > 0) throw tooMany(waitMs)
    running += 1
    try {
      return await run()
    } catch (error) {
      if (error instanceof StatusError && error.code < 500) failures.fail(request.ip)
      throw error
    } finally {
      running -= 1
    }
  }

  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    return503OnClosing: false,
    https: httpsOptions(options.tls),
  }) as unknown as FastifyInstance
  app.setErrorHandler(buildErrorHandler(log))
  answerUnknownPaths(app)
  closeGently(app, clock)

  app.post(ENROL_PATH, (request) =>
    limited(request, async () => {
      const { node, csr } = readTexts(request.body, ['node', 'csr'])
      return enrolment.enrol({ node, csr, token: bearerOf(request) })
    }),
  )
  app.post(RENEW_PATH, (request) =>
    limited(request, async () => {
      const worker = known(options, request)
      return enrolment.renew(worker, readTexts(request.body, ['csr']))
    }),
  )
  app.post(CHECK_IN_PATH, async (request, reply) => {
    const worker = known(options, request)
    const left = new AbortController()
    reply.raw.once('close', () => left.abort())
    return enrolment.checkIn(worker, readTexts(request.body, ['address', 'trust']), left.signal)
  })
  return app
}

/** Serves a new pair, and believes others, from the next handshake on. */
export function reloadEnrolmentTls({ server }: FastifyInstance, tls: EnrolmentTls): void {
  if (!('setSecureContext' in server) || typeof server.setSecureContext !== 'function') {
    throw new Error('this server has no TLS whose certificates could be replaced')
  }
  server.setSecureContext(contextOptions(tls))
}

/** A certificate may be shown: whoever has none yet shows a token. What is shown is verified, and looked at per request. */
function httpsOptions(tls: EnrolmentTls): ServerOptions {
  return {
    ...contextOptions(tls),
    requestCert: true,
    rejectUnauthorized: false,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 60_000,
    maxHeaderSize: 16 * KIB,
  }
}

/** The authorities are sent along: a worker that knows nothing but their hashes has to see them. */
function contextOptions({ cert, key, ca }: EnrolmentTls) {
  return { cert: `${cert}\n${ca}`, key, ca, ...STRICT_SERVER_TLS }
}

/** The worker whose certificate was verified in the handshake and is good still. Throws 401. */
function known(options: EnrolmentServerOptions, request: FastifyRequest): KnownWorker {
  const { clock = systemClock } = options
  // The listener has nothing but TLS.
  const socket = request.raw.socket as TLSSocket
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  const node = certificate && options.nodeOf(certificate)
  if (!certificate || node === undefined || certificate.validToDate.getTime() <= clock.now()) {
    throw unauthorized(
      'show the certificate of a worker, of an authority that is believed here; or enrol again',
    )
  }
  return { node, certificate: certificate.toString() }
}

function bearerOf({ headers: { authorization = '' } }: FastifyRequest): string {
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
  if (token === undefined) throw unauthorized('enrolling takes a token: Authorization: Bearer TOKEN')
  return token
}

/** Members of a JSON object that have to be texts. Throws 400. */
function readTexts<K extends string>(body: unknown, names: readonly K[]): Record<K, string> {
  const found: Partial<Record<K, string>> = {}
  for (const name of names) {
    const value = isRecord(body) ? body[name] : undefined
    if (typeof value !== 'string' || value === '') {
      throw badRequest(`the request is to be a JSON object with ${names.join(' and ')}, which are texts`)
    }
    found[name] = value
  }
  // All of them were found.
  return found as Record<K, string>
}

function tooMany(waitMs: number): StatusError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000)
  return new StatusError(
    429,
    'TooManyRequests',
    `too many requests for certificates: try again in ${retryAfterSeconds} s`,
    { retryAfterSeconds },
  )
}
