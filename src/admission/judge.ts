import type { User } from '../auth/access.ts'
import { guardReader } from '../instancetype/guarded-reader.ts'
import type { MayUse } from '../kinds/foreign-use.ts'
import { refusedKind } from '../kinds/kind.ts'
import type { Clock } from '../lib/clock.ts'
import { invalid, StatusError, type Cause } from '../lib/errors.ts'
import type { ObjectReader, ObjectWriter } from '../store/store.ts'
import { isKubeVirtUser } from './accounts.ts'
import type { AdmissionRequest } from './admission.ts'
import type { AdmissionConfig } from './config.ts'
import { reviewForeignNames } from './foreign.ts'
import { admissionOf } from './index.ts'
import type { KindAdmission, ReviewInput, ReviewPurpose } from './review-input.ts'

/** What a namespace lets guests have, where reviews are all that is asked of us: the write itself is somebody else's. */
export interface NamespaceLimits {
  /** The request, with what the namespace gives to new guests that say nothing. Asked before an object is completed. */
  complete(request: AdmissionRequest): Promise<AdmissionRequest>
  /**
   * Has the last word on what is admitted, and keeps room for it, but for a dry run. Throws 403 where the namespace has
   * no room for it, 429 where too many are asking at once.
   */
  admit(request: AdmissionRequest): Promise<void>
}

/** What admission is put together from. */
export interface AdmissionParts {
  /** Asked at each review, so that a change of the KubeVirt object counts at once. */
  config(): AdmissionConfig
  /** For rules that depend on other objects. */
  reader: ObjectReader
  /** What who writes an object may use of other namespaces than the object's. */
  foreignUses: (user: User) => MayUse
  /** For what has to be done about an eviction; absent: nothing can be. */
  writer?: Pick<ObjectWriter, 'patch'>
  /** Asked by webhooks; absent where the store keeps the books. */
  limits?: NamespaceLimits
  /** Told of what the webhooks let through. */
  admitted?: (request: AdmissionRequest) => void
  clock: Pick<Clock, 'now'>
  /** A UUID nobody has. Contract: MUT-P-008. */
  newUid(): string
}

/** A review under way: the rules of its kind, and what they look at. */
export interface Review {
  rules: KindAdmission
  input: ReviewInput
}

/** Causes a client is shown. Contract: ADM-CAUSE-001. */
export const CAUSES_SHOWN = 10

/**
 * Gathers what the rules for a request need; `undefined` where its kind has none. The object of the request is what
 * `complete` will change. Throws 400 where something cannot be found that the rules cannot do without, 403 where the user
 * may not use what the object names in another namespace.
 */
export async function openReview(
  parts: AdmissionParts,
  request: AdmissionRequest,
  purpose: ReviewPurpose,
): Promise<Review | undefined> {
  const rules = admissionOf(request)
  if (!rules) return undefined
  const mayUse = parts.foreignUses(request.user)
  if (rules.names && !request.object.metadata.deletionTimestamp)
    await reviewForeignNames(rules.names, request, parts.reader, mayUse)
  const config = parts.config()
  const input: ReviewInput = {
    request,
    object: request.object,
    ...(request.old && { old: request.old }),
    isKubeVirt: isKubeVirtUser(request.user, config),
    config,
    clock: parts.clock,
    newUid: () => parts.newUid(),
    facts: await rules.gather?.(request, readerFor(parts.reader, request.namespace, mayUse), purpose),
  }
  return { rules, input }
}

/** Reads what rules depend on, of other namespaces what the user may use there. */
function readerFor(reader: ObjectReader, home: string, mayUse: MayUse): ObjectReader {
  return {
    ...guardReader(reader, home, mayUse),
    list: (kind, selection) => reader.list(kind, selection),
  }
}

/**
 * Completes the object of a review, in place; answers warnings. Throws 422 as `judge` does, and what the mutators refuse.
 */
export function complete({ rules, input }: Review): string[] {
  const causes = firstCauses(rules.before ?? [], input)
  if (causes.length > 0) throw refuse(input.request, causes)
  for (const mutate of rules.mutators) mutate(input)
  return rules.warnCompleted?.(input) ?? []
}

/** Whether the object is to be stored as it came, whatever was completed. */
export function staysAsWritten({ rules, input }: Review): boolean {
  return rules.staysAsWritten?.(input) ?? false
}

/** What is wrong with the object of a review: the causes of the first stage that has some. */
export function findCauses({ rules, input }: Review): Cause[] {
  return firstCauses(rules.stages, input)
}

/** What the client of an admitted object is told. */
export function warningsOf({ rules, input }: Review): string[] {
  return rules.warn?.(input) ?? []
}

/** Judges the object of a review; answers warnings. Throws 422 with the causes of the first stage that has some. */
export function judge(review: Review): string[] {
  const causes = findCauses(review)
  if (causes.length > 0) throw refuse(review.input.request, causes)
  return warningsOf(review)
}

function firstCauses(stages: KindAdmission['stages'], input: ReviewInput): Cause[] {
  for (const stage of stages) {
    const causes = stage(input)
    if (causes.length > 0) return causes
  }
  return []
}

function refuse({ kind, name }: AdmissionRequest, causes: Cause[]): StatusError {
  const refusal = invalid(refusedKind(kind), name, causes.slice(0, CAUSES_SHOWN))
  const more = causes.length - CAUSES_SHOWN
  if (more <= 0) return refusal
  const { code, reason, message, details } = refusal
  return new StatusError(code, reason, `${message}, and ${more} more`, details)
}
