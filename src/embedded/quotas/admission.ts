import type { Admission, AdmissionRequest } from '../../admission/admission.ts'
import type { LimitRange } from '../../kinds/quota.ts'
import { LIMIT_RANGES } from '../../kinds/table.ts'
import type { ChargeRules } from '../../quota/charges.ts'
import { isRanged, rangeFaults, withRangeDefaults } from '../../quota/limits.ts'
import { outOfBounds } from '../../quota/refusals.ts'
import { kindKey, type ObjectDatabase } from '../../store/sqlite/rows.ts'
import { parseObject } from '../objects/rows.ts'
import { checkQuotas } from './database.ts'

const LIMIT_KEY = kindKey(LIMIT_RANGES)

/**
 * Gives new guests what LimitRanges say, has `rules` complete and judge them, and refuses with 403 what is out of bounds
 * then; a dry run also what quotas have no room for. Other writes meet their quotas when they are stored.
 */
export function withLimits(rules: Admission, database: ObjectDatabase, charges: ChargeRules): Admission {
  return {
    async review(request) {
      const ranges = request.subresource ? [] : rangesOf(database, request)
      const verdict = await rules.review(withRangeDefaults(request, ranges))
      const faults = rangeFaults(request, verdict.object, ranges)
      if (faults.length > 0) throw outOfBounds(kindKey(request.kind), request.name, faults)
      if (request.dryRun && request.namespace !== '') {
        const { kind, namespace, name } = request
        checkQuotas(database, { kind: kindKey(kind), namespace, name }, verdict.object, charges)
      }
      return verdict
    },
  }
}

function rangesOf(database: ObjectDatabase, { kind, namespace }: AdmissionRequest): LimitRange[] {
  if (!isRanged(kind)) return []
  // What is stored under the key is a LimitRange.
  return database.list({ kind: LIMIT_KEY, namespace }).map((row) => parseObject(row) as LimitRange)
}
