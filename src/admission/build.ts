import { cloneJson } from '../lib/json.ts'
import type { Admission, AdmissionRequest, AdmissionVerdict } from './admission.ts'
import { complete, judge, openReview, staysAsWritten, type AdmissionParts } from './judge.ts'

export type { AdmissionParts } from './judge.ts'

/** Admission by the rules of each kind; kinds without rules are admitted as they are. */
export function buildAdmission(parts: AdmissionParts): Admission {
  return { review: (request) => review(parts, request) }
}

async function review(parts: AdmissionParts, request: AdmissionRequest): Promise<AdmissionVerdict> {
  const own = { ...request, object: cloneJson(request.object) }
  const opened = await openReview(parts, own, 'complete')
  if (!opened) return { object: request.object, warnings: [] }
  const warnings = complete(opened)
  warnings.push(...judge(opened))
  return { object: staysAsWritten(opened) ? request.object : opened.input.object, warnings }
}
