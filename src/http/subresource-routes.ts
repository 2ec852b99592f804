import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../auth/access.ts'
import type { Action, Subresource } from '../subresources/subresource.ts'
import { callOf, recordOf, signalOf, targetOf, type RouteHead, type RouteParts } from './call.ts'
import { GROUP, VERSIONS } from './group.ts'
import { addStreamRoute } from './stream-route.ts'

/** Option bodies are small; this is what Kubernetes clients may expect to get through. */
const BODY_LIMIT_BYTES = 256 * 1024

/** Registers the routes that the subresources are: two versions of each. */
export function registerSubresources(app: FastifyInstance, deps: RouteParts): void {
  app.register(async (scope) => {
    takeAnyBody(scope)
    for (const version of VERSIONS) {
      for (const subresource of deps.subresources) addRoute(scope, version, subresource, deps)
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

function addRoute(scope: FastifyInstance, version: string, subresource: Subresource, deps: RouteParts): void {
  const { resource, name } = subresource
  const route = {
    url: `/apis/${GROUP}/${version}/namespaces/:namespace/${resource.plural}/:name/${name}`,
    config: {
      access: (request: FastifyRequest) => attributesOf(request, version, subresource),
      isStream: subresource.method === 'GET',
    },
  }
  if (subresource.method === 'GET') addStreamRoute(scope, route, subresource, deps)
  else addActionRoute(scope, route, subresource, deps)
}

function addActionRoute(scope: FastifyInstance, route: RouteHead, action: Action, deps: RouteParts): void {
  scope.route({
    ...route,
    method: action.method,
    bodyLimit: BODY_LIMIT_BYTES,
    handler: async (request, reply) => {
      const call = callOf(request, deps.parts, signalOf(reply.raw))
      await action.run(call)
      deps.log.info(recordOf(call, action), 'action done')
      return reply.code(action.success).send()
    },
  })
}

function attributesOf(
  request: FastifyRequest,
  version: string,
  { resource, name: subresource, verb }: Subresource,
): ResourceAttributes {
  const { namespace, name } = targetOf(request)
  return {
    kind: 'resource',
    verb,
    group: GROUP,
    version,
    resource: resource.plural,
    subresource,
    namespace,
    name,
  }
}
