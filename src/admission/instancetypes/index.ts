/** What is done to instance types and preferences. Contract: admission-others.md, sections 13 and 14. */
import type { Instancetype, Preference } from '../../kinds/instancetype.ts'
import type { KindAdmission } from '../review-input.ts'
import { overcommitIsPossible, warnOfLaunchSecurity } from './instancetype-rules.ts'
import { spreadIsPossible, topologyIsKnown, warnOfOldTopology } from './preference-rules.ts'

/** Both kinds of instance types, created or changed. */
export const instancetypeAdmission: KindAdmission<Instancetype> = {
  mutators: [],
  stages: [overcommitIsPossible],
  warn: warnOfLaunchSecurity,
}

/** Both kinds of preferences, created or changed. */
export const preferenceAdmission: KindAdmission<Preference> = {
  mutators: [],
  stages: [(input) => [...topologyIsKnown(input), ...spreadIsPossible(input)]],
  warn: warnOfOldTopology,
}
