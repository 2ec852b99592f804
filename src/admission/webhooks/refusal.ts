/** How a refusal is answered. Contract: admission-overview.md, section 3. */
import { StatusError, type Cause } from '../../lib/errors.ts'
import type { JsonRecord } from '../../lib/json.ts'
import { CAUSES_SHOWN } from '../judge.ts'

/** What is wrong with an object; the shape's faults have neither a reason nor a field. Contract: ADM-SCH-001 … 004. */
export type Fault = Partial<Cause>

/** The status of an object that breaks rules. Contract: ADM-DENY-001, ADM-CAUSE-001 … 004. */
export function refuseFaults(faults: readonly Fault[]): JsonRecord {
  const shown = faults.slice(0, CAUSES_SHOWN)
  const more = faults.length - shown.length
  const message = `${shown.map(wordsOf).join(', ')}${more > 0 ? `, and ${more} more` : ''}`
  return { metadata: {}, code: 422, message, reason: 'Invalid', details: { causes: shown.map(causeOf) } }
}

/** The same as plugins get it: no code, and every cause. Contract: ADM-DENY-004. */
export function refusePlugin(faults: readonly Fault[]): JsonRecord {
  const message = faults[0] ? wordsOf(faults[0]) : ''
  return { metadata: {}, message, reason: 'Invalid', details: { causes: faults.map(causeOf) } }
}

function wordsOf({ field, message = '' }: Fault): string {
  return field ? `${field}: ${message}` : message
}

/** Each of its members is left out where it is empty. */
function causeOf({ reason, message, field }: Fault): JsonRecord {
  return { ...(reason && { reason }), message, ...(field && { field }) }
}

/**
 * The status of a review that failed: what was thrown as a refusal is answered as one, anything else is a mistake of
 * ours. Contract: ADM-DENY-002, 003, 005; ADM-DENY-006.
 */
export function refuseError(error: unknown): JsonRecord {
  if (!(error instanceof StatusError)) {
    return { metadata: {}, code: 500, message: 'the review failed: see the log of the server' }
  }
  const { code, message, details } = error
  return details?.causes ? refuseFaults(details.causes) : { metadata: {}, code, message }
}

/** The status of an object that its namespace has no room for, in full: clients look for reason and details. */
export function refuseLimited({ code, reason, message, details }: StatusError): JsonRecord {
  return { metadata: {}, code, reason, message, ...(details && { details }) }
}
