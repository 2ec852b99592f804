import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { formatExact } from '../../lib/exact-json.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import type { Listing } from '../api.ts'
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

/** Answers with a list. A long one is read, printed and sent piece by piece: others go on meanwhile (security.md, J9). */
export async function sendList(
  presenter: Presenter,
  request: FastifyRequest,
  reply: FastifyReply,
  listing: Listing,
): Promise<FastifyReply> {
  const { encoding, view } = representationFor(request, 'list')
  const { kind, printer, now } = presenter
  const first = listing.next() ?? []
  const second = listing.next()
  const isForPeople = encoding === 'yaml' || isPretty(request)
  if (second && !isForPeople && request.method !== 'HEAD') {
    const text = printPieces(presenter, view, listing, [first, second])
    return reply.type('application/json').send(Readable.from(text, { objectMode: false }))
  }
  const items = [...first, ...(second ?? [])]
  for (let piece = second && listing.next(); piece; piece = listing.next()) {
    items.push(...piece)
    await setImmediate()
  }
  const metadata = { resourceVersion: listing.resourceVersion, ...listing.rest() }
  return send(request, reply, encoding, viewList(view, kind, items, metadata, printer, now()))
}

/** The JSON of a list, in parts. What it says of itself stands at the end, as it is not known before. */
async function* printPieces(
  { kind, printer, now }: Presenter,
  view: View,
  listing: Listing,
  read: KubeObject[][],
): AsyncGenerator<string, void> {
  const at = now()
  const entriesOf = (value: unknown): [string, unknown[]] => {
    // Of a table, and of a list.
    const { rows, items } = value as { rows?: unknown[]; items?: unknown[] }
    return rows ? ['rows', rows] : ['items', items ?? []]
  }
  const { metadata: _metadata, ...head } = viewList(view, kind, [], {}, printer, at) as { metadata: object }
  const [member] = entriesOf(head)
  yield `${formatExact({ ...head, [member]: undefined }).slice(0, -1)},"${member}":[`
  let isFirst = true
  for (let piece = read.shift() ?? listing.next(); piece; piece = read.shift() ?? listing.next()) {
    const [, entries] = entriesOf(viewList(view, kind, piece, {}, printer, at))
    const text = entries.map((entry) => formatExact(entry)).join(',')
    if (text !== '') yield isFirst ? text : `,${text}`
    isFirst &&= text === ''
    await setImmediate()
  }
  yield `],"metadata":${formatExact({ resourceVersion: listing.resourceVersion, ...listing.rest() })}}`
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
  const indent = isPretty(request) ? 2 : undefined
  return sendText(reply, 'application/json', formatExact(value, indent))
}

function isPretty(request: FastifyRequest): boolean {
  return readFlag(request.query as RawQuery, 'pretty') ?? false
}

/** As bytes: to the media type of a text Fastify would add a charset, which Kubernetes does not send. */
function sendText(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply.type(type).send(Buffer.from(text))
}
