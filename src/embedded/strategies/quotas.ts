import type { LimitRange, ResourceQuota } from '../../kinds/quota.ts'
import { limitRangeFaults } from '../../quota/check-limit-range.ts'
import { quotaFaults } from '../../quota/check-quota.ts'
import { completeItem } from '../../quota/limit-range.ts'
import type { AnyObject } from '../parts.ts'
import type { Strategy } from './strategy.ts'

/** Both kinds' schemas are checked before these are asked. */
const asQuota = (object: AnyObject) => object as ResourceQuota & AnyObject
const asRange = (object: AnyObject) => object as LimitRange & AnyObject

export const quotaStrategy: Strategy = {
  check: (object, current) => quotaFaults(asQuota(object), current && asQuota(current)),
}

function completeLimits(object: AnyObject): void {
  const range = asRange(object)
  if (range.spec?.limits) range.spec.limits = range.spec.limits.map(completeItem)
}

export const limitRangeStrategy: Strategy = {
  prepareCreate: completeLimits,
  prepareUpdate: completeLimits,
  check: (object) => limitRangeFaults(asRange(object)),
}
