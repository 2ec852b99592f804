import type { FastifyInstance, FastifyRequest } from 'fastify'
import { notAcceptable } from '../../lib/errors.ts'
import { pathAccess } from '../http/access.ts'
import { buildDocument, sendDocument, type Document } from '../http/document.ts'
import { rootOf } from '../http/endpoints.ts'
import { encodingOf, parseAccept } from '../http/negotiate.ts'
import { buildDiscovery, DISCOVERY_VERSIONS } from './aggregated.ts'
import { buildCoreVersions, buildGroup, buildGroupList, buildResourceList, groupNames } from './legacy.ts'
import type { GroupVersionResources } from './resources.ts'

/** Documents of one path, by the version of aggregated discovery; '' is the plain one. */
type Variants = ReadonlyMap<string, Document>

/** Serves discovery of everything that is served. */
export function registerDiscovery(app: FastifyInstance, served: readonly GroupVersionResources[]): void {
  const core = served.filter(({ group }) => group === '')
  const groups = served.filter(({ group }) => group !== '')
  addVariants(app, '/api', buildCoreVersions(core), core)
  addVariants(app, '/apis', buildGroupList(groups), groups)
  for (const name of groupNames(groups)) add(app, `/apis/${name}`, buildGroup(name, groups))
  for (const one of served) {
    add(app, rootOf(one), buildResourceList(one))
  }
}

function addVariants(
  app: FastifyInstance,
  url: string,
  plain: unknown,
  served: readonly GroupVersionResources[],
): void {
  const aggregated = DISCOVERY_VERSIONS.map((version): [string, Document] => {
    const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
    return [version, buildDocument(buildDiscovery(served, version), type)]
  })
  addRoute(app, url, new Map([['', buildDocument(plain)], ...aggregated]))
}

function add(app: FastifyInstance, url: string, value: unknown): void {
  addRoute(app, url, new Map([['', buildDocument(value)]]))
}

function addRoute(app: FastifyInstance, url: string, variants: Variants): void {
  // Whoever serves a group may serve its discovery, too.
  if (app.hasRoute({ method: 'GET', url })) return
  app.get(url, { config: { access: pathAccess(url) } }, async (request, reply) =>
    sendDocument(request, reply, choose(request, variants)),
  )
}

/** The first document that the client takes. Throws 406. */
function choose({ headers }: FastifyRequest, variants: Variants): Document {
  for (const { type, parameters } of parseAccept(headers.accept)) {
    if (encodingOf(type) !== 'json') continue
    const { as, g: group, v: version = '' } = parameters
    const isAggregated = group === 'apidiscovery.k8s.io' && as === 'APIGroupDiscoveryList'
    const found = as === undefined ? variants.get('') : isAggregated ? variants.get(version) : undefined
    if (found) return found
  }
  throw notAcceptable('only the following media types are accepted: application/json')
}
