/** `/metrics`. Source: contract metrics.md, sections 1 and 9.5. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/route.ts'
import { signalOf } from './call.ts'

/** Where it is served, and what the right to it is for: `get` on this path. */
export const METRICS_PATH = '/metrics'

/** What `/metrics` needs. */
export interface MetricsParts {
  /** Gathers all series, and gives them piece by piece. */
  text: (signal: AbortSignal) => AsyncIterable<string>
  contentType: string
  /** Whether anybody may read them, as KubeVirt lets them. */
  isOpen?: boolean | undefined
}

/** Serves the figures to whoever may `get` the path `/metrics`. */
export function registerMetrics(app: FastifyInstance, { text, contentType, isOpen }: MetricsParts): void {
  const access: Access = isOpen ? 'open' : () => ({ kind: 'path', verb: 'get', path: METRICS_PATH })
  app.get(METRICS_PATH, { exposeHeadRoute: false, config: { access } }, async (_request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type(contentType)
      .send(Readable.from(text(signalOf(reply.raw)))),
  )
}
