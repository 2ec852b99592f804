import type { FastifyInstance } from 'fastify'
import type { Definitions } from '../../lib/schema/schema.ts'
import { pathAccess } from '../http/access.ts'
import {
  answerDocument,
  buildDocument,
  buildDocumentOf,
  sendDocument,
  type Document,
} from '../http/document.ts'
import { rootOf } from '../http/endpoints.ts'
import { encodingOf, parseAccept } from '../http/negotiate.ts'
import type { KubernetesApiParts } from '../http/parts.ts'
import { buildOpenApi } from './document.ts'
import { buildOpenApiV2 } from './v2.ts'
import { encodeOpenApiV2, V2_PROTOBUF, V2_PROTOBUF_ASKED } from './v2-protobuf.ts'

const INDEX = '/openapi/v3'

type Parts = Pick<KubernetesApiParts, 'kinds' | 'schemas' | 'version' | 'extraGroups'>

/**
 * Serves OpenAPI v3, one document for each version of each group, and the definitions as v2. They are built when
 * somebody first asks.
 */
export function registerOpenApi(app: FastifyInstance, parts: Parts): void {
  const sources = sourcesOf(parts)
  let built: Map<string, Document> | undefined
  const documents = () => (built ??= buildDocuments(sources, parts))
  add(app, INDEX, () => buildDocument(indexOf(documents())))
  addV2(app, parts)
  for (const path of sources.keys()) {
    // Every source becomes a document.
    add(app, `${INDEX}/${path}`, () => documents().get(path)!)
  }
}

/** What a document is made of, by its path below the index. */
type Sources = Map<string, (definitions: Definitions) => unknown>

function sourcesOf({ kinds, version: { gitVersion }, extraGroups }: Parts): Sources {
  const sources: Sources = new Map()
  for (const [root, members] of Map.groupBy(kinds, rootOf)) {
    sources.set(root.slice(1), (definitions) => buildOpenApi(members, definitions, gitVersion))
  }
  for (const { group, version, openApi } of extraGroups) {
    if (openApi) sources.set(`apis/${group}/${version}`, () => openApi)
  }
  return sources
}

function buildDocuments(sources: Sources, { schemas }: Parts): Map<string, Document> {
  const definitions = schemas.load()
  return new Map([...sources].map(([path, build]) => [path, buildDocument(build(definitions))]))
}

function indexOf(documents: Map<string, Document>) {
  const entries = [...documents].map(([path, { hash }]) => [
    path,
    { serverRelativeURL: `${INDEX}/${path}?hash=${hash}` },
  ])
  return { paths: Object.fromEntries(entries) }
}

/** In the form that the client names first. */
function addV2(app: FastifyInstance, { schemas, version: { gitVersion } }: Parts): void {
  const protobuf = buildDocumentOf(encodeOpenApiV2(gitVersion), V2_PROTOBUF)
  let json: Document | undefined
  app.get('/openapi/v2', { config: { access: pathAccess('/openapi/v2') } }, async (request, reply) => {
    const types = parseAccept(request.headers.accept).map(({ type }) => type)
    const first = types.find((type) => PROTOBUF_TYPES.includes(type) || encodingOf(type) === 'json')
    if (first !== undefined && PROTOBUF_TYPES.includes(first)) return answerDocument(request, reply, protobuf)
    json ??= buildDocument(buildOpenApiV2(schemas.load(), gitVersion))
    return sendDocument(request, reply, json)
  })
}

const PROTOBUF_TYPES: readonly string[] = [V2_PROTOBUF, V2_PROTOBUF_ASKED]

function add(app: FastifyInstance, url: string, document: () => Document): void {
  app.get(url, { config: { access: pathAccess(url) } }, async (request, reply) =>
    sendDocument(request, reply, document()),
  )
}
