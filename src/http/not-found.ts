import type { FastifyInstance, RouteOptions } from 'fastify'
import { methodNotAllowed, noSuchPath } from '../lib/errors.ts'
import { pathOf } from './status.ts'

interface Known {
  pattern: RegExp
  methods: Set<string>
}

/**
 * Answers what no route takes: 405 with `Allow` where the path has routes for other methods, else 404. The hooks for
 * authentication have run before.
 */
export function answerUnknownPaths(app: FastifyInstance): void {
  const known = new Map<string, Known>()
  app.addHook('onRoute', (route) => note(known, route))
  app.setNotFoundHandler(async (request, reply) => {
    const allowed = methodsOf(known.values(), pathOf(request.url))
    if (allowed.length === 0) throw noSuchPath()
    reply.header('allow', allowed.join(', '))
    throw methodNotAllowed(`${request.method} is not allowed here; allowed: ${allowed.join(', ')}`)
  })
}

function note(known: Map<string, Known>, { url, method }: RouteOptions): void {
  const entry = known.get(url) ?? { pattern: toPattern(url), methods: new Set() }
  for (const name of [method].flat()) entry.methods.add(name)
  known.set(url, entry)
}

function methodsOf(known: Iterable<Known>, path: string): string[] {
  const methods = new Set<string>()
  for (const entry of known) {
    if (entry.pattern.test(path)) for (const method of entry.methods) methods.add(method)
  }
  return [...methods].sort()
}

/** A route's path as a pattern: `:name` is one segment, `*` is everything. */
function toPattern(url: string): RegExp {
  const source = url.replaceAll(/:\w+(\([^)]*\))?|\*|[.+?^${}()|[\]\\]/g, (token) => {
    if (token === '*') return '.*'
    return token.startsWith(':') ? '[^/]+' : `\\${token}`
  })
  return new RegExp(`^${source}$`)
}
