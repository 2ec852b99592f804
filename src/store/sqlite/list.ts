import type { DatabaseSync } from 'node:sqlite'
import type { ListedRow, ObjectKey, RowQuery } from './rows.ts'

const WHERE = 'kind = :kind AND (namespace, name) > (:afterNamespace, :afterName)'
const WITHIN = 'namespace = :namespace'
const ORDER = 'ORDER BY namespace, name LIMIT :limit'

/**
 * Rows as they were: those unchanged since, and of the changed ones what stood before their first change. One
 * that was created since has no such text.
 */
const THEN = `
  WITH first AS (
    SELECT namespace, name, min(revision) AS revision FROM changes
    WHERE kind = :kind AND revision > :revision GROUP BY namespace, name
  )
  SELECT namespace, name, json FROM (
    SELECT kind, namespace, name, json FROM objects
    WHERE kind = :kind AND (namespace, name) NOT IN (SELECT namespace, name FROM first)
    UNION ALL
    SELECT kind, namespace, name, previous FROM changes
    WHERE revision IN (SELECT revision FROM first) AND previous IS NOT NULL
  )`

function parametersOf({ kind, namespace, revision, after, limit = -1 }: RowQuery) {
  return {
    kind,
    afterNamespace: after?.namespace ?? '',
    afterName: after?.name ?? '',
    limit,
    ...(namespace !== undefined && { namespace }),
    ...(revision !== undefined && { revision }),
  }
}

/** Lists objects in order of namespace and name, now or as of a revision. */
export function prepareList(db: DatabaseSync): (query: RowQuery) => ListedRow[] {
  const now = 'SELECT namespace, name, json FROM objects'
  const statements = {
    all: db.prepare(`${now} WHERE ${WHERE} ${ORDER}`),
    within: db.prepare(`${now} WHERE ${WHERE} AND ${WITHIN} ${ORDER}`),
    allThen: db.prepare(`${THEN} WHERE ${WHERE} ${ORDER}`),
    withinThen: db.prepare(`${THEN} WHERE ${WHERE} AND ${WITHIN} ${ORDER}`),
  }
  return (query) => {
    const scope = query.namespace === undefined ? 'all' : 'within'
    const statement = statements[query.revision === undefined ? scope : (`${scope}Then` as const)]
    // The columns selected are those of ListedRow.
    return statement.all(parametersOf(query)) as unknown as ListedRow[]
  }
}

/** Counts what a list without limit would hold. */
export function prepareCount(db: DatabaseSync): (query: Omit<RowQuery, 'limit'>) => number {
  const now = 'SELECT count(*) AS rows FROM objects'
  const then = (where: string) =>
    db.prepare(`SELECT count(*) AS rows FROM (${THEN} WHERE ${where} LIMIT :limit)`)
  const statements = {
    all: db.prepare(`${now} WHERE ${WHERE} LIMIT :limit`),
    within: db.prepare(`${now} WHERE ${WHERE} AND ${WITHIN} LIMIT :limit`),
    allThen: then(WHERE),
    withinThen: then(`${WHERE} AND ${WITHIN}`),
  }
  return (query) => {
    const scope = query.namespace === undefined ? 'all' : 'within'
    const statement = statements[query.revision === undefined ? scope : (`${scope}Then` as const)]
    return Number(statement.get(parametersOf(query))?.rows)
  }
}

/** Finds objects of a kind that nobody has written to since a time. */
export function prepareListWrittenBefore(db: DatabaseSync): (kind: string, timeMs: number) => ObjectKey[] {
  const select = db.prepare('SELECT kind, namespace, name FROM objects WHERE kind = ? AND written_ms < ?')
  return (kind, timeMs) => select.all(kind, timeMs) as unknown as ObjectKey[]
}
