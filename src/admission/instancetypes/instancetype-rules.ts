/** What is asked of instance types. Contract: admission-others.md, section 13. */
import type { Instancetype } from '../../kinds/instancetype.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { ReviewInput } from '../review-input.ts'

const PERCENT = 'spec.memory.overcommitPercent'

/** Memory that is given twice is a share of it, and comes from no huge pages. Contract: IT-001, 002. */
export function overcommitIsPossible({ object }: ReviewInput<Instancetype>): Cause[] {
  const { overcommitPercent = 0, hugepages } = object.spec?.memory ?? {}
  const causes: Cause[] = []
  if (overcommitPercent < 0 || overcommitPercent > 100) {
    causes.push(invalidValue(PERCENT, `${overcommitPercent} is not between 0 and 100`))
  }
  if (overcommitPercent !== 0 && hugepages) {
    causes.push(
      invalidValue(PERCENT, 'memory on huge pages cannot be overcommitted: leave out one of the two'),
    )
  }
  return causes
}

/** Contract: IT-003. */
export function warnOfLaunchSecurity({ object }: ReviewInput<Instancetype>): string[] {
  return object.spec?.launchSecurity
    ? [
        'spec.launchSecurity of an instance type is deprecated: use spec.preferredLaunchSecurity of a preference',
      ]
    : []
}
