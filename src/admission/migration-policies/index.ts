/** What is asked of migration policies. Contract: admission-others.md, section 6. */
import type { MigrationPolicy } from '../../kinds/migration.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isQuantity, quantityToNano } from '../../lib/quantity.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { parseFactor } from './factor.ts'

type Input = ReviewInput<MigrationPolicy>

const SPEC = new FieldPath('spec')
const DETECTOR = SPEC.child('experimental', 'stallDetector')
const GATE = 'MigrationStallDetection'

/** Bounds of the factors, each by its name. Contract: MP-004 … 007. */
const FACTORS: readonly (readonly [string, (value: number) => boolean, string])[] = [
  ['ewmaAlpha', (value) => value > 0 && value <= 1, 'above 0 and at most 1'],
  ['precopyPossibleFactor', (value) => value >= 1, 'at least 1'],
  ['patienceWindowDecayFactor', (value) => value >= 0 && value <= 1, 'from 0 to 1'],
  ['completionTimeoutFactor', (value) => value >= 1, 'at least 1'],
]

/** A time-out is not negative. Contract: MP-001. */
function timeoutIsPositive({ object }: Input): Cause[] {
  return (object.spec.completionTimeoutPerGiB ?? 0) < 0
    ? [invalidValue(SPEC.child('completionTimeoutPerGiB'), 'must not be negative; it is in seconds')]
    : []
}

/** What belongs to the detection of stalls needs its gate, where it is new. Contract: MP-002, 003. */
function stallDetectionIsAllowed({ object, old, config }: Input): Cause[] {
  if (config.isGateOn(GATE)) return []
  const message = `needs the feature gate ${GATE}: turn it on in the KubeVirt object, or leave this out`
  const { maxDowntimeMs, experimental } = object.spec
  const causes: Cause[] = []
  if (maxDowntimeMs !== undefined && maxDowntimeMs !== old?.spec.maxDowntimeMs) {
    causes.push(invalidValue(SPEC.child('maxDowntimeMs'), message))
  }
  const detector = experimental?.stallDetector
  if (detector !== undefined && !isSameDetector(detector, old?.spec.experimental?.stallDetector)) {
    causes.push(invalidValue(DETECTOR, message))
  }
  return causes
}

type Detector = NonNullable<NonNullable<MigrationPolicy['spec']['experimental']>['stallDetector']>

function isSameDetector(left: Detector, right: Detector | undefined): boolean {
  if (!right) return false
  const names = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...names].every((name) => left[name] === right[name])
}

/** Factors are numbers within their bounds. Contract: MP-004 … 007. */
function factorsAreInBounds({ object }: Input): Cause[] {
  const detector = object.spec.experimental?.stallDetector ?? {}
  const causes: Cause[] = []
  for (const [name, isWithin, bounds] of FACTORS) {
    const given = detector[name]
    if (given === undefined) continue
    const value = parseFactor(given)
    if (value === undefined || !isWithin(value)) {
      causes.push(
        invalidValue(
          DETECTOR.child(name),
          `${JSON.stringify(given)} is no number ${bounds} with at most three decimals`,
        ),
      )
    }
  }
  return causes
}

/** A bandwidth is not negative. Contract: MP-008. */
function bandwidthIsPositive({ object }: Input): Cause[] {
  const { bandwidthPerMigration } = object.spec
  return isQuantity(bandwidthPerMigration) && quantityToNano(bandwidthPerMigration) < 0n
    ? [invalidValue(SPEC.child('bandwidthPerMigration'), 'must not be negative; it is in bytes a second')]
    : []
}

/** All causes are told together. */
function policyIsSound(input: Input): Cause[] {
  return [
    ...timeoutIsPositive(input),
    ...stallDetectionIsAllowed(input),
    ...factorsAreInBounds(input),
    ...bandwidthIsPositive(input),
  ]
}

export const migrationPolicyAdmission: KindAdmission<MigrationPolicy> = {
  mutators: [],
  stages: [policyIsSound],
}
