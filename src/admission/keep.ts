import { invalidValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { isSameJson } from '../lib/json.ts'
import type { ReviewInput } from './review-input.ts'
import type { SpecOf } from './references.ts'

/** What was asked for once stays: another object is to be created for anything else. */
export function specIsKept({ object, old }: ReviewInput<SpecOf<object>>): Cause[] {
  return old && !isSameJson(object.spec, old.spec)
    ? [invalidValue('spec', 'the spec cannot be changed: delete the object and create another')]
    : []
}
