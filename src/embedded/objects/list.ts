import type { Kind } from '../../kinds/kind.ts'
import { badRequest } from '../../lib/errors.ts'
import { kindKey, type ListedRow, type ObjectDatabase, type RowQuery } from '../../store/sqlite/rows.ts'
import type { ListOptions, ListPage } from '../api.ts'
import type { AnyObject } from '../parts.ts'
import { formatContinue, parseContinue } from './continue-token.ts'
import { parseObject } from './rows.ts'
import { buildMatcher, type Matcher } from './selection.ts'
import { parseVersion, requireReachable, requireReadable } from './versions.ts'

/** Rows read at a time while a selector is looked for. */
const STRIDE = 500

interface Found {
  row: ListedRow
  object: AnyObject
}

/** One page of a list, as of one version. Source: "Retrieving large results sets in chunks", Kubernetes API concepts. */
export function listObjects(database: ObjectDatabase, kind: Kind, options: ListOptions): ListPage {
  const matcher = buildMatcher(kind, options)
  const query = readQuery(database, kind, options)
  const resourceVersion = String(query.revision ?? database.revision())
  const limit = options.limit || undefined
  const found = findObjects(database, query, matcher, limit === undefined ? undefined : limit + 1)
  if (limit === undefined || found.length <= limit) {
    return { items: found.map(({ object }) => object), resourceVersion }
  }
  const page = found.slice(0, limit)
  // The page holds as many as the limit says, and that is not 0.
  const { namespace, name } = (page.at(-1) as Found).row
  const rest = matcher.isEverything && {
    remainingItemCount: database.count({ ...query, after: { namespace, name } }),
  }
  return {
    items: page.map(({ object }) => object),
    resourceVersion,
    continue: formatContinue({ revision: Number(resourceVersion), namespace, name }),
    ...rest,
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

function findObjects(
  database: ObjectDatabase,
  query: RowQuery,
  matcher: Matcher,
  limit: number | undefined,
): Found[] {
  if (matcher.isEverything || limit === undefined) {
    const rows = database.list({ ...query, ...(limit !== undefined && { limit }) })
    return rows.map(read).filter(({ object }) => matcher.matches(object))
  }
  const found: Found[] = []
  let after = query.after
  for (;;) {
    const rows = database.list({ ...query, ...(after && { after }), limit: STRIDE })
    found.push(...rows.map(read).filter(({ object }) => matcher.matches(object)))
    if (found.length >= limit || rows.length < STRIDE) return found.slice(0, limit)
    after = rows.at(-1)
  }
}

function read(row: ListedRow): Found {
  return { row, object: parseObject(row) }
}
