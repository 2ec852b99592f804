import { setImmediate } from 'node:timers/promises'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { Clock } from '../../lib/clock.ts'
import { kindKey, type ObjectDatabase } from '../../store/sqlite/rows.ts'
import type { ServedEvent, WatchOptions } from '../api.ts'
import type { AnyObject, RegistryParts } from '../parts.ts'
import { readRows, STRIDE } from './list.ts'
import { parseObject } from './rows.ts'
import { buildMatcher, type Matcher } from './selection.ts'
import { parseVersion, requireWatchable } from './versions.ts'
import { eventOf, SharedChange, type WatchHub } from './watch-hub.ts'

const BOOKMARK_INTERVAL_MS = 60_000
const BUFFER_LENGTH = 1000
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

/**
 * Follows a kind. It listens from the call on, until `signal` aborts, the reader leaves, or lags behind by more
 * than the buffer holds.
 *
 * Throws 400 for bad selectors and 410 where the version is too old, at once. Source: "Efficient detection of
 * changes" in the Kubernetes API concepts.
 */
export function watchObjects(
  parts: RegistryParts,
  hub: WatchHub,
  kind: Kind,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncIterable<ServedEvent> {
  const matcher = buildMatcher(kind, options)
  const namespace = kind.namespaced && options.namespace ? options.namespace : undefined
  const show = (change: SharedChange) => showChange(change, namespace, matcher)
  const first = readFirst(parts.database, kind, { ...options, namespace, matcher, show })
  const reader = new WatchReader(kind, parts, first, options.allowWatchBookmarks ?? false)
  reader.listen(hub, kind, show, signal)
  return reader
}

type Show = (change: SharedChange) => ServedEvent | undefined

/** How a change looks to somebody who sees only what matches. */
function showChange(
  change: SharedChange,
  namespace: string | undefined,
  matcher: Matcher,
): ServedEvent | undefined {
  const { type, namespace: found } = change.change
  if (namespace !== undefined && namespace !== found) return undefined
  if (matcher.isEverything) return change.asEvent(type)
  const { previous } = change
  const matched = previous !== undefined && matcher.matches(previous)
  const matches = type !== 'DELETED' && matcher.matches(change.object)
  if (matches) return change.asEvent(matched ? 'MODIFIED' : 'ADDED')
  if (!matched) return undefined
  return type === 'DELETED' ? change.asEvent(type) : change.asGone()
}

/** What a watch begins with. */
interface First {
  /** In pieces, each of which is read once the one before has been. */
  pieces: Iterable<ServedEvent[]>
  revision: number
}

function readFirst(
  database: ObjectDatabase,
  kind: Kind,
  options: Omit<WatchOptions, 'namespace'> & { namespace: string | undefined; matcher: Matcher; show: Show },
): First {
  const version = parseVersion(options.resourceVersion)
  const revision = database.revision()
  const wantsPresent = options.sendInitialEvents ?? version === 0
  if (!wantsPresent) {
    if (version === 0) return { pieces: [], revision }
    requireWatchable(database, version)
    const changes = database
      .changesSince(kindKey(kind), version)
      .map((change) => options.show(new SharedChange(change)))
    return { pieces: [changes.filter((event) => event !== undefined)], revision }
  }
  const ends = options.sendInitialEvents && options.allowWatchBookmarks
  const end = ends ? [bookmark(kind, revision, true)] : []
  return { pieces: presentEvents(database, kind, revision, options, end), revision }
}

function* presentEvents(
  database: ObjectDatabase,
  kind: Kind,
  revision: number,
  { namespace, matcher }: { namespace: string | undefined; matcher: Matcher },
  end: ServedEvent[],
): Generator<ServedEvent[], void> {
  const query = { kind: kindKey(kind), ...(namespace !== undefined && { namespace }) }
  for (const rows of readRows(database, query, revision)) {
    const present = rows.filter((row) => matcher.isEverything || matcher.matches(parseObject(row)))
    const events = present.map((row) => eventOf('ADDED', row.json, () => parseObject(row)))
    // The last piece is never a full one.
    yield rows.length < STRIDE ? [...events, ...end] : events
  }
}

function bookmark(kind: Kind, revision: number, endsInitial = false): ServedEvent {
  const metadata = {
    resourceVersion: String(revision),
    ...(endsInitial && { annotations: { [INITIAL_EVENTS_END]: 'true' } }),
  }
  // A bookmark carries nothing but its version.
  const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata } as unknown as AnyObject
  return eventOf('BOOKMARK', JSON.stringify(object), () => object)
}

/** One watch. It may be read once. */
class WatchReader implements AsyncIterableIterator<ServedEvent> {
  readonly #kind: Kind
  readonly #parts: RegistryParts
  readonly #sendsBookmarks: boolean
  /** What is there from the beginning; it does not count as lagging behind. */
  readonly #first: Iterator<ServedEvent[]>
  /** The piece of it that is being read; none once all were. */
  #piece: ServedEvent[] | undefined
  /** What has happened since. */
  readonly #queue: ServedEvent[] = []
  readonly #cleanup = new DisposableStack()
  /** How far the events in the queue and those before them reach. */
  #reached: number
  /** What the reader has last been told. */
  #told: number
  readonly #bufferLength: number
  #ended = false
  #wake: (() => void) | undefined

  constructor(kind: Kind, parts: RegistryParts, first: First, sendsBookmarks: boolean) {
    this.#kind = kind
    this.#parts = parts
    this.#first = first.pieces[Symbol.iterator]()
    this.#piece = this.#readPiece()
    this.#reached = first.revision
    this.#told = first.revision
    this.#sendsBookmarks = sendsBookmarks
    this.#bufferLength = parts.watchBufferLength ?? BUFFER_LENGTH
  }

  listen(hub: WatchHub, kind: Kind, show: Show, signal: AbortSignal): void {
    const end = () => this.#end()
    if (signal.aborted) return end()
    signal.addEventListener('abort', end, { once: true })
    this.#cleanup.defer(() => signal.removeEventListener('abort', end))
    this.#cleanup.use(hub.subscribe(kind, (change) => this.#push(change.change.revision, show(change))))
    if (this.#sendsBookmarks) this.#startBookmarks(this.#parts.clock)
  }

  #startBookmarks(clock: Clock): void {
    const intervalMs = this.#parts.bookmarkIntervalMs ?? BOOKMARK_INTERVAL_MS
    let timer: Disposable
    const tick = () => {
      this.#pushBookmark()
      timer = clock.after(intervalMs, tick)
    }
    timer = clock.after(intervalMs, tick)
    this.#cleanup.defer(() => timer[Symbol.dispose]())
  }

  #push(revision: number, event: ServedEvent | undefined): void {
    this.#reached = revision
    if (!event) return
    // Whoever is too slow gets what waits for him, and watches again from there.
    this.#told = revision
    if (this.#queue.length >= this.#bufferLength) return this.#end()
    this.#queue.push(event)
    this.#wake?.()
  }

  /** Where nothing of the kind happens for long, the reader would fall behind what is kept. */
  #pushBookmark(): void {
    this.#reached = this.#parts.database.revision()
    this.#queue.push(bookmark(this.#kind, this.#reached))
    this.#told = this.#reached
    this.#wake?.()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#sendsBookmarks && this.#reached > this.#told)
      this.#queue.push(bookmark(this.#kind, this.#reached))
    this.#cleanup.dispose()
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<ServedEvent>> {
    const early = this.#piece && (await this.#nextOfFirst())
    if (early) return { done: false, value: early }
    while (this.#queue.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    const event = this.#queue.shift()
    return event ? { done: false, value: event } : { done: true, value: undefined }
  }

  /** Others go on between two pieces (security.md, J9). Throws 410 where it can no longer be told. */
  async #nextOfFirst(): Promise<ServedEvent | undefined> {
    while (this.#piece) {
      const event = this.#piece.shift()
      if (event) return event
      this.#piece = this.#readPiece()
      if (this.#piece) await setImmediate()
    }
    return undefined
  }

  #readPiece(): ServedEvent[] | undefined {
    const { value, done } = this.#first.next()
    return done ? undefined : value
  }

  async return(): Promise<IteratorResult<ServedEvent>> {
    this.#piece = undefined
    this.#queue.length = 0
    this.#told = Number.MAX_SAFE_INTEGER
    this.#end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
