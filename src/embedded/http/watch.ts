import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../../lib/clock.ts'
import { hasReason, internalError, StatusError } from '../../lib/errors.ts'
import type { ServedEvent, WatchOptions } from '../api.ts'
import { toPartial, type TablePrinter } from '../tables/table.ts'
import { representationFor } from './answer.ts'
import { targetOf } from './endpoints.ts'
import type { View } from './negotiate.ts'
import type { Exchange } from './objects.ts'
import { readWatchOptions, type RawQuery } from './query.ts'

/** What watches need beside what other requests do. */
export interface WatchParts {
  clock: Pick<Clock, 'now' | 'after'>
  /** Aborts when the server is about to close: watches would hold it open. */
  closing: AbortSignal
  /** A whole number from 0 to below `below`. */
  random: (below: number) => number
  /** Is told what broke a watch, apart from refusals. */
  onFailure: (error: unknown) => void
}

/** A watch lasts half an hour to an hour where the client does not say: not all come back at once. */
const MINIMUM_SECONDS = 1800

/** Streams changes, one JSON document a line, until the client leaves or its time is over. */
export async function watchObjects(exchange: Exchange, parts: WatchParts): Promise<FastifyReply> {
  const { request, reply, endpoint, api, presenter } = exchange
  const { view } = representationFor(request, 'watch')
  const { namespace } = targetOf(request)
  const { options, timeoutSeconds } = readWatchOptions(request.query as RawQuery, namespace)
  using stop = stopOf(reply, parts, timeoutSeconds || MINIMUM_SECONDS + parts.random(MINIMUM_SECONDS))
  const events = open(() => api.watch(endpoint.kind, options, stop.signal))
  const encode = buildEncoder(view, presenter.printer, presenter.now)
  reply.hijack()
  await stream(reply, write(events, encode, options, parts.onFailure))
  return reply
}

type Events = AsyncIterable<ServedEvent>

/** A version that is too old is told in the stream, as kube-apiserver does; other refusals as plain answers. */
function open(watch: () => Events): Events {
  try {
    return watch()
  } catch (error) {
    if (!hasReason(error, 'Expired')) throw error
    return fail(error)
  }
}

// oxlint-disable-next-line require-yield -- it has nothing to yield before it throws.
async function* fail(error: Error): Events {
  throw error
}

function stopOf(
  { raw }: FastifyReply,
  { clock, closing }: WatchParts,
  timeoutSeconds: number,
): { signal: AbortSignal } & Disposable {
  const stopped = new AbortController()
  const stop = (): void => stopped.abort()
  raw.once('close', stop)
  closing.addEventListener('abort', stop, { once: true })
  const timer = clock.after(timeoutSeconds * 1000, stop)
  if (closing.aborted) stop()
  return {
    signal: stopped.signal,
    [Symbol.dispose]() {
      timer[Symbol.dispose]()
      closing.removeEventListener('abort', stop)
      raw.off('close', stop)
      stop()
    },
  }
}

async function stream(reply: FastifyReply, lines: AsyncIterable<string>): Promise<void> {
  const { raw } = reply
  // Fastify's headers so far, as those of any other answer.
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value)
  }
  raw.setHeader('content-type', 'application/json')
  raw.setHeader('cache-control', 'no-cache, private')
  raw.statusCode = 200
  // Clients wait for the headers, and the first change may be long in coming.
  raw.flushHeaders()
  try {
    await pipeline(Readable.from(lines, { objectMode: false }), raw)
  } catch {
    // The client has gone: whatever broke on our side was told in the stream.
  }
}

type Encode = (event: ServedEvent) => string

async function* write(
  events: Events,
  encode: Encode,
  { allowWatchBookmarks = false, sendInitialEvents = false }: WatchOptions,
  onFailure: (error: unknown) => void,
): AsyncGenerator<string> {
  try {
    for await (const event of events) {
      if (event.type === 'BOOKMARK' && !allowWatchBookmarks && !sendInitialEvents) continue
      yield encode(event)
    }
  } catch (error) {
    const refusal = error instanceof StatusError ? error : internalError('the watch broke', error)
    if (refusal !== error) onFailure(error)
    yield `${JSON.stringify({ type: 'ERROR', object: refusal.toStatus() })}\n`
  }
}

/** Writes events as the client wants to see their objects. */
function buildEncoder(view: View, printer: TablePrinter, now: () => number): Encode {
  if (view.as === 'table') return buildTableEncoder(view, printer, now)
  if (view.as === 'partial') return ({ type, object }) => line(type, toPartial(object, view.version))
  // Serialised once for all who watch.
  return ({ type, json }) => `{"type":"${type}","object":${json}}\n`
}

/** Each event is a table of one row; the first has the definitions of the columns. */
function buildTableEncoder(view: View & { as: 'table' }, printer: TablePrinter, now: () => number): Encode {
  let noHeaders = false
  return ({ type, object }) => {
    const { resourceVersion } = object.metadata
    const table = printer.print([object], { resourceVersion }, { ...view, noHeaders, now: now() })
    noHeaders = true
    return line(type, table)
  }
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}
