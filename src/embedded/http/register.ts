import { setMaxListeners } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { registerDiscovery } from '../discovery/routes.ts'
import { buildResources } from '../discovery/resources.ts'
import { registerOpenApi } from '../openapi/routes.ts'
import { buildPrinter } from '../tables/table.ts'
import { pathAccess } from './access.ts'
import type { Presenter } from './answer.ts'
import { takeBodiesAsBytes } from './bodies.ts'
import { buildDocument, sendDocument } from './document.ts'
import { attributesOf, endpointsOf, isWatch, type Endpoint, type Verb } from './endpoints.ts'
import { registerHealth } from './health.ts'
import * as objects from './objects.ts'
import type { KubernetesApiParts } from './parts.ts'
import { registerReviews } from './reviews.ts'
import { watchObjects, type WatchParts } from './watch.ts'

/**
 * Registers the routes of embedded mode's Kubernetes API: objects, reviews, discovery, OpenAPI, health, version.
 *
 * Each says in `config.access` what is asked for; whoever built `app` authenticates and authorizes by it.
 */
export function registerKubernetesApi(app: FastifyInstance, parts: KubernetesApiParts): void {
  const { kinds, reviews, extraGroups } = parts
  const closing = new AbortController()
  // Every watch listens.
  setMaxListeners(0, closing.signal)
  app.addHook('preClose', async () => closing.abort())
  registerInformation(app, parts)
  registerHealth(app, parts.checks)
  registerDiscovery(app, buildResources(kinds, reviews, extraGroups))
  registerOpenApi(app, parts)
  app.register(async (scope) => {
    takeBodiesAsBytes(scope)
    registerReviews(scope, parts)
    for (const kind of kinds) {
      const presenter = { kind, printer: buildPrinter(kind), now: () => parts.clock.now() }
      for (const endpoint of endpointsOf(kind)) {
        addEndpoint(scope, endpoint, presenter, { ...parts, closing: closing.signal })
      }
    }
  })
}

type Handler = (exchange: objects.Exchange) => Promise<unknown>

const HANDLERS: Record<Verb, Handler> = {
  create: objects.createObject,
  delete: objects.deleteObject,
  deletecollection: objects.deleteObjects,
  get: objects.getObject,
  list: objects.listObjects,
  patch: objects.patchObject,
  update: objects.updateObject,
}

function addEndpoint(
  scope: FastifyInstance,
  endpoint: Endpoint,
  presenter: Presenter,
  parts: KubernetesApiParts & WatchParts,
): void {
  const { method, url, verb } = endpoint
  const handle = HANDLERS[verb]
  const { api } = parts
  scope.route({
    method,
    url,
    config: { access: (request) => attributesOf(endpoint, request) },
    handler: async (request, reply) => {
      const exchange = { request, reply, endpoint, api, presenter }
      // A HEAD has nothing to stream.
      const isStream = verb === 'list' && request.method === 'GET' && isWatch(request)
      return isStream ? watchObjects(exchange, parts) : handle(exchange)
    },
  })
}

/** What lies below the version of a group; kube-apiserver does not name it either, endpoints included. */
const OBJECT_PATH = /^\/(api\/[^/]+|apis\/[^/]+\/[^/]+)\/./

/** `/version`, and `/`, which names all paths that are no objects. To be called before the others are registered. */
function registerInformation(app: FastifyInstance, { version }: KubernetesApiParts): void {
  const paths = new Set<string>()
  app.addHook('onRoute', ({ url }) => {
    if (url !== '/' && !OBJECT_PATH.test(url)) paths.add(url)
  })
  const document = buildDocument(version)
  app.get('/version', { config: { access: 'open' } }, async (request, reply) =>
    sendDocument(request, reply, document),
  )
  app.get('/', { config: { access: pathAccess('/') } }, async (request, reply) =>
    sendDocument(request, reply, buildDocument({ paths: [...paths].sort() })),
  )
}
