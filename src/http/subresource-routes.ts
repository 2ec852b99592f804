import type { FastifyInstance } from 'fastify'
import type { Subresource } from '../subresources/subresource.ts'
import { addAnswerRoute } from './answer-route.ts'
import type { RouteParts } from './call.ts'
import { VERSIONS } from './group.ts'
import { addStreamRoute } from './stream-route.ts'
import { attributesOf, pathsOf } from './subresource-path.ts'
import { addTicketRoutes } from './ticket-routes.ts'

/** Option bodies are small; this is what Kubernetes clients may expect to get through. */
const BODY_LIMIT_BYTES = 256 * 1024

/** Registers the routes that the subresources are: two versions of each. */
export function registerSubresources(app: FastifyInstance, deps: RouteParts): void {
  app.register(async (scope) => {
    takeAnyBody(scope)
    deps.auditor.watch(scope)
    for (const version of VERSIONS) {
      for (const subresource of deps.subresources) addRoutes(scope, version, subresource, deps)
    }
  })
}

/** Bodies are read as they are, whatever their media type says or does not say (contract: BD-1). */
function takeAnyBody(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (_request, body, done) => done(null, body),
  )
  scope.addHook('onRequest', async ({ raw }) => {
    raw.headers['content-type'] = 'application/octet-stream'
  })
}

function addRoutes(
  scope: FastifyInstance,
  version: string,
  subresource: Subresource,
  deps: RouteParts,
): void {
  for (const url of pathsOf(version, subresource)) {
    const route = {
      url,
      bodyLimit: BODY_LIMIT_BYTES,
      config: {
        access: (request: Parameters<typeof attributesOf>[0]) => attributesOf(request, version, subresource),
        isStream: subresource.type === 'stream',
        subresource,
      },
    }
    if (subresource.type === 'stream') addStreamRoute(scope, route, subresource, deps)
    else addAnswerRoute(scope, route, subresource, deps)
  }
  if (subresource.type === 'stream') addTicketRoutes(scope, version, subresource, deps)
}
