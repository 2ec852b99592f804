/** What admission does with what is written. Source: contract metrics.md, section 9.8. */
import type { Metrics } from './exposition.ts'

/** Why an object was refused, as far as it is counted. */
export interface Refusal {
  code?: number
  /** The first is told of. */
  causes?: readonly { reason?: string; field?: string }[]
}

/** What was judged. */
export interface Judged {
  /** Plural, such as `virtualmachines`. */
  resource: string
  /** `validating` and `mutating` are webhooks; a store that has its own rules judges and completes with every `write`. */
  type: 'validating' | 'mutating' | 'write'
}

/** Told of each object that was judged; without a refusal it was let through. */
export type AdmissionWatch = (judged: Judged, tookMs: number, refusal?: Refusal) => void

/** Rules are some hundred; what a field says may hold more than we think. */
const MOST_REJECTIONS = 1000
const OTHER = '<other>'

/** Counts them. A rule is told by the field that it speaks of, without the positions in lists, and by its reason. */
export function watchAdmission(metrics: Metrics): AdmissionWatch {
  const durations = metrics.histogram('virtgate_admission_duration_seconds')
  const rejections = metrics.counter('virtgate_admission_rejections_total')
  const known = new Set<string>()
  return ({ resource, type }, tookMs, refusal) => {
    durations.observe({ resource, type, allowed: refusal ? 'false' : 'true' }, tookMs / 1000)
    if (!refusal) return
    const [{ reason = '', field = '' } = {}] = refusal.causes ?? []
    const code = refusal.code === undefined ? '' : String(refusal.code)
    const labels = { resource, type, code, reason, field: field.replaceAll(/\[[^\]]*\]/g, '') }
    const key = JSON.stringify(labels)
    if (known.size < MOST_REJECTIONS) known.add(key)
    rejections.add(known.has(key) ? labels : { ...labels, field: OTHER })
  }
}
