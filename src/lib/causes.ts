import type { Cause } from './errors.ts'
import type { FieldPath } from './field-path.ts'

type Place = FieldPath | string

function cause(reason: string, field: Place, message: string): Cause {
  return { reason, message, field: String(field) }
}

/** The value cannot be right. */
export function invalidValue(field: Place, message: string): Cause {
  return cause('FieldValueInvalid', field, message)
}

/** The field has to be given. */
export function requiredValue(field: Place, message: string): Cause {
  return cause('FieldValueRequired', field, message)
}

/** Another entry has the same value. */
export function duplicateValue(field: Place, message: string): Cause {
  return cause('FieldValueDuplicate', field, message)
}

/** The value is none of the known ones. */
export function unsupportedValue(field: Place, message: string): Cause {
  return cause('FieldValueNotSupported', field, message)
}

/** The field may not be given, or not now. */
export function forbiddenValue(field: Place, message: string): Cause {
  return cause('FieldValueForbidden', field, message)
}

/** The value names something that is not there. */
export function missingValue(field: Place, message: string): Cause {
  return cause('FieldValueNotFound', field, message)
}

/** Adds what else is wrong. There may be more of it than a call of `push` takes. */
export function addAll(causes: Cause[], more: Iterable<Cause>): void {
  for (const cause of more) causes.push(cause)
}
