import type { ResourceQuota } from '../../kinds/quota.ts'
import { RESOURCE_QUOTAS } from '../../kinds/table.ts'
import { addAmounts, type Amounts } from '../../quota/amounts.ts'
import { resourceCounted, type ChargeRules } from '../../quota/charges.ts'
import { countedOf } from '../../quota/settle.ts'
import { kindKey, type ObjectDatabase } from '../../store/sqlite/rows.ts'
import { parseObject } from '../objects/rows.ts'

const QUOTA_KEY = kindKey(RESOURCE_QUOTAS)

/** Counts, from the objects themselves, what of a quota is used. `isNew`: the quota is not among the rows yet. */
export function measureUsage(
  rows: Pick<ObjectDatabase, 'list'>,
  quota: ResourceQuota,
  isNew: boolean,
  rules: ChargeRules,
): Amounts {
  const names = Object.keys(quota.spec?.hard ?? {})
  const { namespace } = quota.metadata
  let used: Amounts = new Map()
  for (const resource of new Set(names.map(resourceCounted))) {
    for (const row of rows.list({ kind: resource, namespace })) {
      used = addAmounts(used, countedOf(quota, resource, parseObject(row), rules))
    }
  }
  // A quota that limits the number of quotas is one of them.
  return isNew ? addAmounts(used, countedOf(quota, QUOTA_KEY, quota, rules)) : used
}
