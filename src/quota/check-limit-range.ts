/** What is wrong with a LimitRange by itself. Source: `ValidateLimitRange` of Kubernetes. */
import type { LimitRange, LimitRangeItem, ResourceList } from '../kinds/quota.ts'
import { addAll, duplicateValue, forbiddenValue, invalidValue, requiredValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { FieldPath } from '../lib/field-path.ts'
import { compareQuantities, isQuantity, type QuantityText } from '../lib/quantity.ts'

const TYPES = ['Container', 'Pod', 'PersistentVolumeClaim']

/** From the least to the most; each may be no more than those behind it. */
const RISING = ['min', 'defaultRequest', 'default', 'max'] as const

/** What is wrong with a range whose defaults are filled in. */
export function limitRangeFaults({ spec }: LimitRange): Cause[] {
  const seen = new Set<string>()
  const causes: Cause[] = []
  for (const [index, item] of (spec?.limits ?? []).entries()) {
    const at = new FieldPath('spec').child('limits').index(index)
    if (seen.has(item.type)) causes.push(duplicateValue(at.child('type'), `Duplicate value: "${item.type}"`))
    seen.add(item.type)
    addAll(causes, typeFaults(item, at))
    addAll(causes, orderFaults(item, at))
    addAll(causes, ratioFaults(item, at))
  }
  return causes
}

function typeFaults(item: LimitRangeItem, at: FieldPath): Cause[] {
  const { type, min, max } = item
  // A domain before its name says that somebody else looks after it.
  const causes: Cause[] = []
  if (!TYPES.includes(type) && !type.includes('/')) {
    const message = 'must be a standard limit type or fully qualified'
    causes.push(invalidValue(at.child('type'), `Invalid value: "${type}": ${message}`))
  }
  if (type === 'PersistentVolumeClaim' && !min?.['storage'] && !max?.['storage']) {
    causes.push(
      requiredValue(
        at.child('limits'),
        'Required value: either minimum or maximum storage value is required, but neither was provided',
      ),
    )
  }
  for (const field of ['default', 'defaultRequest'] as const) {
    if (type === 'Pod' && Object.keys(item[field] ?? {}).length > 0) {
      causes.push(forbiddenValue(at.child(field), "Forbidden: may not be specified when `type` is 'Pod'"))
    }
  }
  return causes
}

function orderFaults(item: LimitRangeItem, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, lower] of RISING.entries()) {
    for (const upper of RISING.slice(position + 1)) {
      for (const [name, low, high] of shared(item[lower], item[upper])) {
        if (compareQuantities(low, high) <= 0) continue
        causes.push(
          invalidValue(
            at.child(lower).key(name),
            `Invalid value: "${low}": ${lower} value ${low} is greater than ${upper} value ${high}`,
          ),
        )
      }
    }
  }
  return causes
}

function ratioFaults({ maxLimitRequestRatio: ratios }: LimitRangeItem, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [name, ratio] of Object.entries(ratios ?? {})) {
    if (!isQuantity(ratio) || compareQuantities(ratio, 1) >= 0) continue
    causes.push(
      invalidValue(
        at.child('maxLimitRequestRatio').key(name),
        `Invalid value: "${ratio}": ratio ${ratio} is less than 1`,
      ),
    )
  }
  return causes
}

function shared(left: ResourceList = {}, right: ResourceList = {}) {
  return Object.entries(left).flatMap(([name, low]): [string, QuantityText, QuantityText][] => {
    const high = right[name]
    return isQuantity(low) && isQuantity(high) ? [[name, low, high]] : []
  })
}
