/** What an API server does: its requests and its streams. Source: contract metrics.md, section 9.8. */
import type { Metrics } from './exposition.ts'
import type { Reading } from './reading.ts'

/** What came of a request. */
export interface AnsweredRequest {
  /** As Fastify has it, such as `/api/v1/nodes/:name`; absent where no route matched. */
  route: string | undefined
  /** Of the Kubernetes API where it is known, else the method in lower case. */
  verb: string
  code: number
}

/** Bytes of one stream so far. */
export interface StreamBytes {
  bytesToClient: number
  bytesToGuest: number
}

/** Told of what a server does. */
export interface ServerWatch {
  answered(request: AnsweredRequest, tookMs: number): void
  /** A request had its turn. */
  waited(lane: string, tookMs: number): void
  /** Too many of its user were waiting. */
  turnedAway(lane: string): void
  /** `limit` names what was reached. */
  refusedStream(type: string, limit: string): void
  /** A node has connected a stream to its guest. */
  dialled(type: string, tookMs: number): void
  /** `bytes` is read at each scrape until what this answers is told why the stream has ended. */
  openedStream(type: string, bytes: () => StreamBytes): (reason: string) => void
}

const NO_ROUTE = '<none>'
const MS = 1e-3

/** Counts it all. Labels are names of routes and of subresources, never of objects. */
export function watchServer(metrics: Metrics): ServerWatch {
  const durations = metrics.histogram('virtgate_request_duration_seconds')
  const waits = metrics.histogram('virtgate_request_queue_wait_seconds')
  const turnedAway = metrics.counter('virtgate_requests_turned_away_total')
  const dials = metrics.histogram('virtgate_stream_open_duration_seconds')
  const refused = metrics.counter('virtgate_streams_refused_total')
  const templates = new Map<string, string>()
  const templateOf = (route: string): string => {
    const known = templates.get(route)
    if (known !== undefined) return known
    const made = route.replaceAll(/:(\w+)/g, '{$1}')
    templates.set(route, made)
    return made
  }
  return {
    answered({ route, verb, code }, tookMs) {
      const template = route === undefined ? NO_ROUTE : templateOf(route)
      durations.observe({ route: template, verb, code: String(code) }, tookMs * MS)
    },
    waited: (lane, tookMs) => waits.observe({ lane }, tookMs * MS),
    turnedAway: (lane) => turnedAway.add({ lane }),
    refusedStream: (type, limit) => refused.add({ type, limit }),
    dialled: (type, tookMs) => dials.observe({ type }, tookMs * MS),
    openedStream: countStreams(metrics),
  }
}

const DIRECTIONS = [
  ['to_client', 'bytesToClient'],
  ['to_guest', 'bytesToGuest'],
] as const

function countStreams(metrics: Metrics): ServerWatch['openedStream'] {
  const closed = metrics.counter('virtgate_streams_closed_total')
  /** Of streams that have ended, by type. */
  const past = new Map<string, StreamBytes>()
  const open = new Set<{ type: string; bytes: () => StreamBytes }>()
  metrics.add({
    source: 'streams',
    collect() {
      const sums = new Map([...past].map(([type, bytes]) => [type, { ...bytes }]))
      for (const { type, bytes } of open) addTo(sums, type, bytes())
      return [...sums].flatMap(([type, sum]) =>
        DIRECTIONS.map(([direction, member]): Reading => {
          const labels = { type, direction }
          return { name: 'virtgate_stream_bytes_total', labels, value: sum[member] }
        }),
      )
    },
  })
  return (type, bytes) => {
    const stream = { type, bytes }
    open.add(stream)
    return (reason) => {
      if (!open.delete(stream)) return
      addTo(past, type, bytes())
      closed.add({ type, reason })
    }
  }
}

function addTo(sums: Map<string, StreamBytes>, type: string, more: StreamBytes): void {
  const sum = sums.get(type) ?? { bytesToClient: 0, bytesToGuest: 0 }
  sum.bytesToClient += more.bytesToClient
  sum.bytesToGuest += more.bytesToGuest
  sums.set(type, sum)
}
