import type { Admission, AdmissionRequest } from '../../admission/admission.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { LimitRange } from '../../kinds/quota.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { LIMIT_RANGES, PVCS, VMIS } from '../../kinds/table.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ChargeRules } from '../../quota/charges.ts'
import { claimFaults, guestFaults } from '../../quota/limit-bounds.ts'
import { withDefaults } from '../../quota/limit-range.ts'
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
      const verdict = await rules.review(ranges.length > 0 ? complete(request, ranges) : request)
      const faults = faultsOf(request, verdict.object, ranges)
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
  if (kind !== VMIS && kind !== PVCS) return []
  // What is stored under the key is a LimitRange.
  return database.list({ kind: LIMIT_KEY, namespace }).map((row) => parseObject(row) as LimitRange)
}

function complete(request: AdmissionRequest, ranges: LimitRange[]): AdmissionRequest {
  if (request.kind !== VMIS || request.operation !== 'CREATE') return request
  // Its schema was checked before it came here.
  const vmi = request.object as Vmi
  const completed: Vmi = { ...vmi, spec: withDefaults(vmi.spec, ranges) }
  return { ...request, object: completed }
}

/** What is going, and what asks for the same as before, is left alone: the range may be younger. */
function faultsOf({ kind, old }: AdmissionRequest, object: KubeObject, ranges: LimitRange[]): string[] {
  if (ranges.length === 0 || object.metadata.deletionTimestamp !== undefined) return []
  // Their schemas were checked before they came here.
  if (kind === VMIS) {
    const [{ spec }, before] = [object as Vmi, old as Vmi | undefined]
    return isSameJson(spec, before?.spec) ? [] : guestFaults(spec, ranges)
  }
  const [claim, before] = [object as PersistentVolumeClaim, old as PersistentVolumeClaim | undefined]
  return isSameJson(claim.spec?.['resources'], before?.spec?.['resources']) ? [] : claimFaults(claim, ranges)
}
