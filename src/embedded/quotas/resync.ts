import type { ResourceQuota } from '../../kinds/quota.ts'
import { RESOURCE_QUOTAS } from '../../kinds/table.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ChargeRules } from '../../quota/charges.ts'
import { withUsed } from '../../quota/settle.ts'
import { kindKey, type ListedRow, type ObjectDatabase } from '../../store/sqlite/rows.ts'
import type { BackgroundParts } from '../background.ts'
import { parseObject } from '../objects/rows.ts'
import { measureUsage } from './usage.ts'

const QUOTA_KEY = kindKey(RESOURCE_QUOTAS)
const INTERVAL_MS = 10 * 60_000

/**
 * Counts all quotas anew and writes down those that are off; answers their names. `database` is the plain one, without
 * the books. Quotas are off where an earlier version of this program has written them, or counted otherwise.
 */
export async function correctQuotas(database: ObjectDatabase, rules: ChargeRules): Promise<string[]> {
  const corrected: string[] = []
  for (const { namespace, name } of database.list({ kind: QUOTA_KEY })) {
    // One at a time, so that no other write waits for long.
    const isOff = await database.write((transaction) => {
      const row = transaction.get({ kind: QUOTA_KEY, namespace, name })
      const quota = row && correct(database, row, rules)
      if (quota) transaction.put(QUOTA_KEY, quota)
      return quota !== undefined
    })
    if (isOff) corrected.push(`${namespace}/${name}`)
  }
  return corrected
}

function correct(
  database: ObjectDatabase,
  row: Pick<ListedRow, 'json'>,
  rules: ChargeRules,
): ResourceQuota | undefined {
  // What is stored under the key is a quota.
  const quota = parseObject(row) as ResourceQuota
  const counted = withUsed(quota, measureUsage(database, quota, false, rules))
  return isSameJson(counted.status, quota.status) ? undefined : counted
}

/** Counts all quotas anew from time to time. Closing it waits for a count that runs. */
export function startQuotaResync(
  { database, clock, log }: Pick<BackgroundParts, 'database' | 'clock' | 'log'>,
  rules: ChargeRules,
  intervalMs = INTERVAL_MS,
): AsyncDisposable {
  let isClosed = false
  let running = Promise.resolve()
  let timer = clock.after(intervalMs, tick)

  function tick(): void {
    running = resync().finally(() => {
      if (!isClosed) timer = clock.after(intervalMs, tick)
    })
  }

  async function resync(): Promise<void> {
    try {
      const quotas = await correctQuotas(database, rules)
      if (quotas.length > 0) log.warn({ quotas }, 'quotas were off and have been counted anew')
    } catch (err) {
      log.warn({ err, retryMs: intervalMs }, 'quotas could not be counted')
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      isClosed = true
      timer[Symbol.dispose]()
      await running
    },
  }
}
