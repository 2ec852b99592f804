import type { ResourceQuota } from '../../kinds/quota.ts'
import { RESOURCE_QUOTAS } from '../../kinds/table.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { isSameJson } from '../../lib/json.ts'
import { isPriced, type ChargeRules } from '../../quota/charges.ts'
import { settle, withUsed, type QuotaWrite } from '../../quota/settle.ts'
import { kindKey, type ObjectDatabase, type ObjectKey, type Transaction } from '../../store/sqlite/rows.ts'
import { parseObject } from '../objects/rows.ts'
import { measureUsage } from './usage.ts'

const QUOTA_KEY = kindKey(RESOURCE_QUOTAS)

/** The rows of a database, and what a quota counts there. */
type Rows = Pick<ObjectDatabase, 'list'>

/**
 * The database with quotas kept in it: each write is charged to the quotas of its namespace in the transaction that
 * makes it, so that `status.used` is what there is, at any moment and after any crash. `put` throws 403 where a quota
 * has no room; nothing is kept of that step then.
 */
export function withQuotas(database: ObjectDatabase, rules: ChargeRules): ObjectDatabase {
  return {
    ...database,
    write: (step) => database.write((transaction) => step(keepBooks(database, transaction, rules))),
    [Symbol.dispose]: () => database[Symbol.dispose](),
  }
}

/** Throws 403 where a quota has no room for the write; changes nothing. For dry runs. */
export function checkQuotas(
  database: Rows & Pick<ObjectDatabase, 'get'>,
  key: ObjectKey,
  after: KubeObject,
  rules: ChargeRules,
): void {
  const row = database.get(key)
  settle(quotasOf(database, key), { ...writeOf(key), before: row && parseObject(row), after }, rules)
}

function keepBooks(rows: Rows, transaction: Transaction, rules: ChargeRules): Transaction {
  const charge = (key: ObjectKey, change: Pick<QuotaWrite, 'before' | 'after'>) => {
    for (const quota of settle(quotasOf(rows, key), { ...writeOf(key), ...change }, rules)) {
      transaction.put(QUOTA_KEY, quota)
    }
  }
  const isLimited = ({ namespace }: ObjectKey) =>
    namespace !== '' && transaction.has({ kind: QUOTA_KEY, namespace })
  return {
    get: (key) => transaction.get(key),
    has: (query) => transaction.has(query),
    put(kind, object) {
      const key = keyOf(kind, object)
      const row = transaction.get(key)
      if ((!row || isPriced(kind)) && isLimited(key))
        charge(key, { before: row && parseObject(row), after: object })
      if (kind === QUOTA_KEY) {
        fillStatus(rows, object, row, rules)
        // Somebody has only said otherwise what is used: that is no change.
        if (row && isSameJson(object, parseObject(row))) return object
      }
      return transaction.put(kind, object)
    },
    remove(key) {
      const row = transaction.remove(key)
      if (row && isLimited(key)) charge(key, { before: parseObject(row) })
      return row
    },
  }
}

/** Nobody but the books says what a quota has used: counted anew where it is new or its spec changes. */
function fillStatus(
  rows: Rows,
  object: KubeObject,
  row: { json: string } | undefined,
  rules: ChargeRules,
): void {
  // What is stored under the key is a quota.
  const quota = object as ResourceQuota
  const before = row && (parseObject(row) as ResourceQuota)
  const isSame = before?.status && isSameJson(before.spec, quota.spec)
  const { status } = isSame ? before : withUsed(quota, measureUsage(rows, quota, !row, rules))
  if (status) quota.status = status
}

function keyOf(kind: string, { metadata }: KubeObject): ObjectKey {
  return { kind, namespace: metadata.namespace ?? '', name: metadata.name }
}

function writeOf({ kind, name }: ObjectKey): QuotaWrite {
  return { resource: kind, name }
}

/** The quotas that a write to this object is charged to. One is not charged to itself: it counts itself when it is written. */
function quotasOf(rows: Rows, { kind, namespace, name }: ObjectKey): ResourceQuota[] {
  return (
    rows
      .list({ kind: QUOTA_KEY, namespace })
      .filter((row) => kind !== QUOTA_KEY || row.name !== name)
      // What is stored under the key is a quota.
      .map((row) => parseObject(row) as ResourceQuota)
  )
}
