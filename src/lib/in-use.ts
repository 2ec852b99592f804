import { StatusError } from './errors.ts'

/** Cause that tells "somebody has it" from every other 503. It crosses the wire. */
const SESSION_IN_USE = 'SessionInUse'

/** 503: somebody has it, and the caller asked not to disturb them, or all places are taken. */
export function inUse(message: string): StatusError {
  return new StatusError(503, 'ServiceUnavailable', message, {
    causes: [{ reason: SESSION_IN_USE, message }],
  })
}

/** Whether an error is such a refusal, and not a node that cannot be reached. */
export function isInUse(error: unknown): error is StatusError {
  if (!(error instanceof StatusError) || error.code !== 503) return false
  return error.details?.causes?.some(({ reason }) => reason === SESSION_IN_USE) ?? false
}
