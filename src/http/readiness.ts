import type { FastifyInstance } from 'fastify'
import type { Log } from '../lib/log.ts'

/** Something that has to be there before a server is any good. */
export interface ReadinessCheck {
  /** In lower case, such as `front-proxy`. */
  name: string
  /** What is missing and what to do, for anybody to read; `undefined` where nothing is. */
  missing: () => Promise<string | undefined>
  /** What `?verbose` says besides, where nothing is missing. */
  note?: () => string
}

const GOING_AWAY: ReadinessCheck = { name: 'shutdown', missing: async () => 'the server is going away' }

const open = { config: { access: 'open' as const } }

/**
 * Serves `/livez`, which says that the process answers, and `/readyz`, which names what is missing: 500 then. With
 * `?verbose` it lists all checks, as Kubernetes' own servers do.
 */
export function registerReadiness(app: FastifyInstance, checks: readonly ReadinessCheck[], log: Log): void {
  app.get('/livez', open, async (_request, reply) => reply.type(TEXT).send('ok'))
  app.get('/readyz', open, async ({ query }, reply) => {
    const all = app.isClosing() ? [GOING_AWAY, ...checks] : checks
    const results = await Promise.all(all.map((check) => ask(check, log)))
    const isReady = results.every(({ missing }) => missing === undefined)
    const isVerbose = typeof query === 'object' && query !== null && 'verbose' in query
    reply
      .code(isReady ? 200 : 500)
      .type(TEXT)
      .header('cache-control', 'no-store')
    if (isReady && !isVerbose) return reply.send('ok')
    const lines = results.map(({ name, missing, note }) =>
      missing === undefined
        ? `[+]${name} ok${note === undefined ? '' : `: ${note}`}`
        : `[-]${name} failed: ${missing}`,
    )
    return reply.send([...lines, `readyz check ${isReady ? 'passed' : 'failed'}`, ''].join('\n'))
  })
}

const TEXT = 'text/plain; charset=utf-8'

async function ask(
  { name, missing, note }: ReadinessCheck,
  log: Log,
): Promise<{ name: string; missing: string | undefined; note?: string }> {
  try {
    return { name, missing: await missing(), ...(note && { note: note() }) }
  } catch (error) {
    log.warn({ err: error, check: name }, 'readiness cannot be found out')
    return { name, missing: 'it cannot be found out; see the log' }
  }
}
