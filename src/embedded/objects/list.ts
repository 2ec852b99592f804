import { setImmediate } from 'node:timers/promises'
import type { Kind } from '../../kinds/kind.ts'
import { badRequest } from '../../lib/errors.ts'
import { kindKey, type ListedRow, type ObjectDatabase, type RowQuery } from '../../store/sqlite/rows.ts'
import type { Listing, ListOptions, ListPage } from '../api.ts'
import type { AnyObject } from '../parts.ts'
import { formatContinue, parseContinue } from './continue-token.ts'
import { parseObject } from './rows.ts'
import { buildMatcher, type Matcher } from './selection.ts'
import { parseVersion, requireReachable, requireReadable } from './versions.ts'

/** Rows read or changed in one go: some milliseconds, which nobody notices who waits for a console (security.md, J9). */
export const STRIDE = 100

interface Found {
  row: ListedRow
  object: AnyObject
}

/** Begins a list. Source: "Retrieving large results sets in chunks", Kubernetes API concepts. */
export function openListing(database: ObjectDatabase, kind: Kind, options: ListOptions): Listing {
  const matcher = buildMatcher(kind, options)
  const query = readQuery(database, kind, options)
  const revision = query.revision ?? database.revision()
  const limit = options.limit || Number.POSITIVE_INFINITY
  const pieces = findObjects(database, query, matcher, revision)
  let listed = 0
  let last: ListedRow | undefined
  let hasMore = false
  return {
    resourceVersion: String(revision),
    next() {
      if (hasMore) return undefined
      const { value, done } = pieces.next()
      if (done) return undefined
      const found = value.slice(0, limit - listed)
      // One that there is no room for tells that there are more.
      hasMore = found.length < value.length
      listed += found.length
      last = found.at(-1)?.row ?? last
      return found.map(({ object }) => object)
    },
    rest() {
      if (!hasMore || !last) return {}
      const { namespace, name } = last
      const counted = { ...query, ...past(database, revision), after: { namespace, name } }
      return {
        continue: formatContinue({ revision, namespace, name }),
        ...(matcher.isEverything && { remainingItemCount: database.count(counted) }),
      }
    },
  }
}

/** One page of a list, as of one version; others go on between its pieces. */
export async function listObjects(
  database: ObjectDatabase,
  kind: Kind,
  options: ListOptions,
): Promise<ListPage> {
  const listing = openListing(database, kind, options)
  const items = listing.next() ?? []
  for (let piece = listing.next(); piece; piece = listing.next()) {
    items.push(...piece)
    await setImmediate()
  }
  return { items, resourceVersion: listing.resourceVersion, ...listing.rest() }
}

/** What was gathered before, to be sent piece by piece. */
export function listingOf({ items, resourceVersion }: ListPage): Listing {
  let next = 0
  return {
    resourceVersion,
    next: () => (next < items.length ? items.slice(next, (next += STRIDE)) : undefined),
    rest: () => ({}),
  }
}

function readQuery(database: ObjectDatabase, kind: Kind, options: ListOptions): RowQuery {
  const base = {
    kind: kindKey(kind),
    ...(kind.namespaced && options.namespace && { namespace: options.namespace }),
  }
  if (options.continue) {
    if (options.resourceVersion && options.resourceVersion !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue')
    }
    const { revision, namespace, name } = parseContinue(options.continue)
    requireReadable(database, revision)
    requireReachable(database, revision)
    return { ...base, ...past(database, revision), after: { namespace, name } }
  }
  const version = parseVersion(options.resourceVersion ?? '')
  requireReachable(database, version)
  // Without a word on it, a limit with a version asks for just that version. Source: as above.
  const isExact = options.resourceVersionMatch === 'Exact' || (!options.resourceVersionMatch && options.limit)
  if (options.resourceVersionMatch === 'Exact' && version === 0) {
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resource version "0" and needs one')
  }
  if (!isExact || version === 0) return base
  requireReadable(database, version)
  return { ...base, ...past(database, version) }
}

function past(database: ObjectDatabase, revision: number): { revision?: number } {
  return revision === database.revision() ? {} : { revision }
}

function* findObjects(
  database: ObjectDatabase,
  query: RowQuery,
  matcher: Matcher,
  revision: number,
): Generator<Found[], undefined> {
  for (const rows of readRows(database, query, revision)) {
    yield rows.map(read).filter(({ object }) => matcher.matches(object))
  }
}

/** Rows as of `revision`, in pieces of `STRIDE`, of which the last has fewer. Throws 410 where they can no longer be told meanwhile. */
export function* readRows(
  database: ObjectDatabase,
  query: RowQuery,
  revision: number,
): Generator<ListedRow[], undefined> {
  let { after } = query
  for (;;) {
    if (revision < database.revision()) requireReadable(database, revision)
    const rows = database.list({
      ...query,
      ...past(database, revision),
      ...(after && { after }),
      limit: STRIDE,
    })
    yield rows
    if (rows.length < STRIDE) return undefined
    after = rows.at(-1)
  }
}

function read(row: ListedRow): Found {
  return { row, object: parseObject(row) }
}
