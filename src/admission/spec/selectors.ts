import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { checkLabelValue, checkQualifiedName } from '../../lib/names.ts'
import type { LabelSelector } from '../../lib/selectors.ts'

/** A label selector can be understood, in each of its parts. Contract: PRIM-012. */
export function* labelSelectorIsSound(selector: LabelSelector | undefined, at: FieldPath): Iterable<Cause> {
  const labels = at.child('matchLabels')
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    yield* all(checkQualifiedName(key), labels, key)
    yield* all(checkLabelValue(value), labels, value)
  }
  for (const [position, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const field = at.child('matchExpressions').index(position)
    yield* operatorFitsValues(operator, values, field)
    yield* all(checkQualifiedName(key), field.child('key'), key)
    for (const [index, value] of values.entries()) {
      yield* all(checkLabelValue(value), field.child('values').index(index), value)
    }
  }
}

function* operatorFitsValues(operator: string, values: readonly string[], at: FieldPath): Iterable<Cause> {
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) yield invalidValue(at.child('values'), `${operator} needs values`)
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) yield invalidValue(at.child('values'), `${operator} takes no values`)
  } else {
    yield invalidValue(at.child('operator'), `"${operator}" is none of In, NotIn, Exists, DoesNotExist`)
  }
}

/** One cause for each message of a check. */
export function* all(messages: readonly string[], field: FieldPath, text: string): Iterable<Cause> {
  for (const message of messages) yield invalidValue(field, `"${text.slice(0, 100)}": ${message}`)
}
