import fastify from 'fastify'
import { closeGently } from '../http/closing.ts'
import { registerReadiness, type ReadinessCheck } from '../http/readiness.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { parseListen, urlOf } from './listen.ts'

/** `/livez` and `/readyz` of a process that serves nothing else, for probes: without TLS, and for anybody. */
export interface HealthServer extends AsyncDisposable {
  url: string
}

/** Serves them at `ADDRESS:PORT`; port 0 takes a free one. */
export async function openHealth(
  listen: string,
  checks: readonly ReadinessCheck[],
  log: Log,
): Promise<HealthServer> {
  const { host, port } = parseListen(listen)
  const app = fastify({ forceCloseConnections: true })
  closeGently(app, systemClock)
  registerReadiness(app, checks, log)
  await app.listen({ host, port })
  const address = app.server.address()
  return {
    url: urlOf(host, typeof address === 'object' && address ? address.port : port).replace('https:', 'http:'),
    [Symbol.asyncDispose]: () => app.close(),
  }
}
