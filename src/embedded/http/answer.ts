import { formatExact } from '../../lib/exact-json.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import type { ListPage } from '../api.ts'
import { toPartial, type ListMeta, type TablePrinter } from '../tables/table.ts'
import { negotiate, type Encoding, type Representation, type Shape, type View } from './negotiate.ts'
import { readFlag, readText, type RawQuery } from './query.ts'
import { formatYaml } from './yaml.ts'

/** What answers about one kind are made with. */
export interface Presenter {
  kind: Kind
  printer: TablePrinter
  /** Milliseconds since 1970. */
  now: () => number
}

/** What the client of a request is to be answered with. Throws 406. */
export function representationFor(request: FastifyRequest, shape: Shape): Representation {
  return negotiate(request.headers.accept, shape, readText(request.query as RawQuery, 'includeObject'))
}

/** Answers with one object. */
export function sendObject(
  { printer, now }: Presenter,
  request: FastifyRequest,
  reply: FastifyReply,
  object: KubeObject,
  code = 200,
): FastifyReply {
  const { encoding, view } = representationFor(request, 'object')
  const { resourceVersion } = object.metadata
  reply.code(code)
  return send(request, reply, encoding, viewObject(view, object, printer, { resourceVersion }, now()))
}

function viewObject(
  view: View,
  object: KubeObject,
  printer: TablePrinter,
  metadata: ListMeta,
  now: number,
): unknown {
  if (view.as === 'table') return printer.print([object], metadata, { ...view, now })
  return view.as === 'partial' ? toPartial(object, view.version) : object
}

/** Answers with a list. */
export function sendList(
  { kind, printer, now }: Presenter,
  request: FastifyRequest,
  reply: FastifyReply,
  { items, ...metadata }: ListPage,
): FastifyReply {
  const { encoding, view } = representationFor(request, 'list')
  return send(request, reply, encoding, viewList(view, kind, items, metadata, printer, now()))
}

function viewList(
  view: View,
  kind: Kind,
  items: KubeObject[],
  metadata: ListMeta,
  printer: TablePrinter,
  now: number,
): unknown {
  if (view.as === 'table') return printer.print(items, metadata, { ...view, now })
  if (view.as === 'object') {
    return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items }
  }
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${view.version}`,
    metadata,
    items: items.map((item) => toPartial(item, view.version)),
  }
}

/** Answers with any JSON value: as YAML where asked, indented where `pretty` is. */
export function send(
  request: FastifyRequest,
  reply: FastifyReply,
  encoding: Encoding,
  value: unknown,
): FastifyReply {
  if (encoding === 'yaml') return sendText(reply, 'application/yaml', formatYaml(value))
  const indent = readFlag(request.query as RawQuery, 'pretty') ? 2 : undefined
  return sendText(reply, 'application/json', formatExact(value, indent))
}

/** As bytes: to the media type of a text Fastify would add a charset, which Kubernetes does not send. */
function sendText(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply.type(type).send(Buffer.from(text))
}
