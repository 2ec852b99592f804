/** Discovery, OpenAPI and health of a server that stands behind kube-apiserver. Source: contract 1.3, 1.8, 1.9. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Subresource } from '../subresources/subresource.ts'
import { buildSubresourceDiscovery } from './discovery.ts'
import { acceptedTypes, buildDocument, sendDocument, type Document } from './document.ts'
import {
  checkHealth,
  registerGroupDiscovery,
  registerGroupEndpoints,
  type GroupParts,
} from './group-routes.ts'
import { GROUP, GROUP_ENDPOINTS, VERSIONS } from './group.ts'
import { buildSubresourceOpenApi } from './openapi.ts'
import { PROFILER_PATHS } from './profiler-routes.ts'

const open = { config: { access: 'open' as const } }

/**
 * Registers everything that kube-apiserver asks of an aggregated server on its own account: open, because some of
 * those requests come without a group (contract 1.8).
 */
export function registerAggregatedRoot(
  app: FastifyInstance,
  subresources: readonly Subresource[],
  parts: GroupParts,
): void {
  registerGroupEndpoints(app, parts)
  registerGroupDiscovery(app, subresources)
  const openApi = openApiDocuments(subresources, parts.version.gitVersion)
  for (const [path, document] of Object.entries(openApi)) {
    app.get(path, open, async (request, reply) => sendDocument(request, reply, document))
  }
  app.get('/healthz', open, async (_request, reply) => {
    const { code, body } = await checkHealth(parts, parts.log)
    return reply.header('cache-control', 'no-store').code(code).send(body)
  })
  registerApis(app, subresources)
  const more = [...Object.keys(openApi), ...(parts.profiling ? PROFILER_PATHS : [])]
  const paths = buildDocument({ paths: rootPaths(more) })
  app.get('/', open, async (request, reply) => sendDocument(request, reply, paths))
}

function openApiDocuments(
  subresources: readonly Subresource[],
  gitVersion: string,
): Record<string, Document> {
  const { v2, v3 } = buildSubresourceOpenApi(subresources, gitVersion)
  const byPath = VERSIONS.map((version): [string, Document] => [
    `apis/${GROUP}/${version}`,
    buildDocument(v3[version]),
  ])
  const index = byPath.map(([path, { etag }]) => [
    path,
    { serverRelativeURL: `/openapi/v3/${path}?hash=${etag.replaceAll('"', '')}` },
  ])
  return {
    '/openapi/v2': buildDocument(v2),
    '/openapi/v3': buildDocument({ paths: Object.fromEntries(index) }),
    ...Object.fromEntries(byPath.map(([path, document]) => [`/openapi/v3/${path}`, document])),
  }
}

/** `/apis` in three forms, by what the client takes (contract: AD-4). */
function registerApis(app: FastifyInstance, subresources: readonly Subresource[]): void {
  const { group, aggregated } = buildSubresourceDiscovery(subresources)
  const { kind: _kind, apiVersion: _apiVersion, ...bare } = group
  const plain = buildDocument({ kind: 'APIGroupList', apiVersion: 'v1', groups: [bare] })
  const forms = new Map(
    ['v2', 'v2beta1'].map((version) => [version, buildDocument(...aggregatedList(version, aggregated))]),
  )
  app.get('/apis', open, async (request, reply) => {
    const version = askedDiscovery(request)
    return sendDocument(request, reply, forms.get(version ?? '') ?? plain)
  })
}

function aggregatedList(version: string, item: object): [content: object, contentType: string] {
  return [
    {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: [item],
    },
    `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  ]
}

function askedDiscovery(request: FastifyRequest): string | undefined {
  const asked = acceptedTypes(request).find(
    ({ type, parameters }) =>
      type === 'application/json' &&
      parameters.get('g') === 'apidiscovery.k8s.io' &&
      parameters.get('as') === 'APIGroupDiscoveryList' &&
      ['v2', 'v2beta1'].includes(parameters.get('v') ?? ''),
  )
  return asked?.parameters.get('v')
}

/** Each path that is no object's, once (contract: DI-8). */
function rootPaths(more: string[]): string[] {
  const versions = VERSIONS.map((version) => `/apis/${GROUP}/${version}`)
  const endpoints = versions.flatMap((base) => GROUP_ENDPOINTS.map((name) => `${base}/${name}`))
  const all = ['/apis', `/apis/${GROUP}`, ...versions, ...endpoints, '/healthz', ...more]
  return [...new Set(all)].sort()
}
