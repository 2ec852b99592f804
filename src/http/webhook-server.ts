/** The listener of the admission webhooks, apart from the API's. Contract: admission-overview.md, 2; security.md, D. */
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Authenticator } from '../auth/access.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { StatusError, unauthorized } from '../lib/errors.ts'
import { credentialsOf } from './authenticate.ts'
import { closeGently } from './closing.ts'
import { closeIdleConnections } from './idle-connections.ts'
import { answerUnknownPaths } from './not-found.ts'
import { registerReadiness, type ReadinessCheck } from './readiness.ts'
import { buildErrorHandler } from './status.ts'
import { serverOptions, type Tls } from './tls.ts'
import { registerWebhooks, type WebhookParts } from './webhook-routes.ts'

/**
 * kube-apiserver lets go of a connection that it has not used for 90 s: it is the one to close, or a review that it sends in
 * that moment would fail, and with it somebody's request. Source: `SetOldTransportDefaults` in k8s.io/apimachinery.
 */
const KEEP_ALIVE_MS = 100_000

/** What the listener is put together from. */
export interface WebhookServerOptions extends Pick<WebhookParts, 'admission' | 'log' | 'watch'> {
  /** Absent: plain HTTP/1.1, for tests that inject requests. */
  tls?: Tls
  /** Knows who may ask; anybody may where it is absent. */
  callers?: Authenticator
  /** What has to be there before a review can be answered: until then each is 503 and asked again by the caller. */
  needs: readonly ReadinessCheck[]
  /** What `/readyz` looks at besides. */
  checks: readonly ReadinessCheck[]
  clock?: Clock
}

/** The server of the webhooks, not listening yet. */
export function buildWebhookServer(options: WebhookServerOptions): FastifyInstance {
  const { admission, log, watch, needs, checks, clock = systemClock } = options
  const app = Fastify(serverOptions(options.tls, log, KEEP_ALIVE_MS)) as unknown as FastifyInstance
  app.setErrorHandler(buildErrorHandler(log))
  answerUnknownPaths(app)
  closeGently(app, clock)
  closeIdleConnections(app)
  registerReadiness(app, [...needs, ...checks], log)
  registerWebhooks(app, { admission, log, watch, admit: (request) => admit(options, request) })
  return app
}

/** Throws 401 where the caller is not among those that may ask, 503 where nothing can be judged yet. */
async function admit({ callers, needs }: WebhookServerOptions, request: FastifyRequest): Promise<void> {
  if (callers && !(await callers.authenticate(credentialsOf(request)))) {
    throw unauthorized(
      'Unauthorized: reviews are answered to holders of a certificate of the webhook client CA',
    )
  }
  for (const { missing } of needs) {
    const what = await missing()
    if (what !== undefined) throw new StatusError(503, 'ServiceUnavailable', what, { retryAfterSeconds: 1 })
  }
}
