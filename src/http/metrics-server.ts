/** A listener for `/metrics` alone, of processes that serve no API. Source: contract metrics.md, section 9.5. */
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { closeGently } from './closing.ts'
import { closeIdleConnections } from './idle-connections.ts'
import { registerMetrics, type MetricsParts } from './metrics-route.ts'
import { answerUnknownPaths } from './not-found.ts'
import { buildErrorHandler } from './status.ts'
import { serverOptions, type Tls } from './tls.ts'

/** What the listener is put together from. */
export interface MetricsServerOptions extends Omit<MetricsParts, 'isOpen'> {
  tls: Tls
  /** Throws 401 or 403 where the caller may not read. */
  admit: (request: FastifyRequest) => Promise<void>
  log: Log
  clock?: Clock
}

/** The server, not listening yet. */
export function buildMetricsServer(options: MetricsServerOptions): FastifyInstance {
  const { tls, admit, log, clock = systemClock } = options
  const app = Fastify(serverOptions(tls, log)) as unknown as FastifyInstance
  app.setErrorHandler(buildErrorHandler(log))
  answerUnknownPaths(app)
  closeGently(app, clock)
  closeIdleConnections(app)
  // For every path: who may not read learns nothing of what there is.
  app.addHook('onRequest', admit)
  registerMetrics(app, { ...options, isOpen: true })
  return app
}
