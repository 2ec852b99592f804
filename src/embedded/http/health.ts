import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readText, type RawQuery } from './query.ts'

/** Something that has to work. */
export interface HealthCheck {
  /** In lower case, such as `database`. */
  name: string
  /** Whether a server that fails it had better be restarted: then `/livez` looks at it, too. */
  isVital: boolean
  /** Throws where it does not work. */
  run: () => Promise<void>
}

const PING: HealthCheck = { name: 'ping', isVital: true, run: async () => {} }

/** Serves `/livez`, `/readyz` and `/healthz`, for anybody. */
export function registerHealth(app: FastifyInstance, given: readonly HealthCheck[]): void {
  const all = [PING, ...given]
  add(
    app,
    'livez',
    all.filter(({ isVital }) => isVital),
  )
  add(app, 'readyz', all)
  add(app, 'healthz', all)
}

function add(app: FastifyInstance, path: string, checks: readonly HealthCheck[]): void {
  app.get(`/${path}`, { config: { access: 'open' } }, async (request, reply) =>
    answer(request, reply, path, checks),
  )
  for (const check of checks) {
    app.get(`/${path}/${check.name}`, { config: { access: 'open' } }, async (request, reply) =>
      answer(request, reply, path, [check]),
    )
  }
}

async function answer(
  { query }: FastifyRequest,
  reply: FastifyReply,
  path: string,
  checks: readonly HealthCheck[],
): Promise<FastifyReply> {
  const excluded = new Set([(query as RawQuery)['exclude']].flat())
  const results = await Promise.all(
    checks.map(async (check) => ({
      name: check.name,
      word: excluded.has(check.name)
        ? 'excluded: ok'
        : (await works(check))
          ? 'ok'
          : 'failed: reason withheld',
    })),
  )
  const failed = results.some(({ word }) => word.startsWith('failed'))
  const isVerbose = readText(query as RawQuery, 'verbose') !== undefined
  const lines = results.map(({ name, word }) => `[${word.startsWith('failed') ? '-' : '+'}]${name} ${word}`)
  const text = [...lines, `${path} check ${failed ? 'failed' : 'passed'}`, ''].join('\n')
  reply.code(failed ? 500 : 200).type('text/plain; charset=utf-8')
  return reply.header('cache-control', 'no-cache, private').send(failed || isVerbose ? text : 'ok')
}

async function works({ run }: HealthCheck): Promise<boolean> {
  try {
    await run()
    return true
  } catch {
    // Anybody may ask: the reason is for the log of what failed, not for them.
    return false
  }
}
