import { refusedKind } from '../kinds/kind.ts'
import type { Clock } from '../lib/clock.ts'
import { invalid, StatusError, type Cause } from '../lib/errors.ts'
import type { ObjectReader } from '../store/store.ts'
import { isKubeVirtAccount } from './accounts.ts'
import type { Admission, AdmissionRequest, AdmissionVerdict } from './admission.ts'
import type { AdmissionConfig } from './config.ts'
import { admissionOf } from './index.ts'
import type { ReviewInput } from './review-input.ts'

/** What admission is put together from. */
export interface AdmissionParts {
  /** Asked at each review, so that a change of the KubeVirt object counts at once. */
  config(): AdmissionConfig
  /** For rules that depend on other objects. */
  reader: ObjectReader
  clock: Pick<Clock, 'now'>
  /** A UUID nobody has. */
  newUid(): string
}

/** Causes a client is shown. Contract: ADM-CAUSE-001. */
const CAUSES_SHOWN = 10

/** Admission by the rules of each kind; kinds without rules are admitted as they are. */
export function buildAdmission(parts: AdmissionParts): Admission {
  return { review: (request) => review(parts, request) }
}

async function review(parts: AdmissionParts, request: AdmissionRequest): Promise<AdmissionVerdict> {
  const rules = admissionOf(request)
  if (!rules) return { object: request.object, warnings: [] }
  const config = parts.config()
  const input: ReviewInput = {
    request,
    object: structuredClone(request.object),
    ...(request.old && { old: request.old }),
    isKubeVirt: isKubeVirtAccount(request.user, config),
    config,
    clock: parts.clock,
    newUid: () => parts.newUid(),
    facts: await rules.gather?.(request, parts.reader),
  }
  for (const mutate of rules.mutators) mutate(input)
  for (const stage of rules.stages) {
    const causes = [...stage(input)]
    if (causes.length > 0) throw refuse(request, causes)
  }
  return { object: input.object, warnings: [...(rules.warn?.(input) ?? [])] }
}

function refuse({ kind, name }: AdmissionRequest, causes: Cause[]): StatusError {
  const refusal = invalid(refusedKind(kind), name, causes.slice(0, CAUSES_SHOWN))
  const more = causes.length - CAUSES_SHOWN
  if (more <= 0) return refusal
  const { code, reason, message, details } = refusal
  return new StatusError(code, reason, `${message}, and ${more} more`, details)
}
