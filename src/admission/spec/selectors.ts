import { addAll, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { checkLabelValue, checkQualifiedName } from '../../lib/names.ts'
import type { LabelSelector } from '../../lib/selectors.ts'

/** A label selector can be understood, in each of its parts. Contract: PRIM-012. */
export function labelSelectorIsSound(selector: LabelSelector | undefined, at: FieldPath): Cause[] {
  const labels = at.child('matchLabels')
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    addAll(causes, all(checkQualifiedName(key), labels, key))
    addAll(causes, all(checkLabelValue(value), labels, value))
  }
  for (const [position, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const field = at.child('matchExpressions').index(position)
    addAll(causes, operatorFitsValues(operator, values, field))
    addAll(causes, all(checkQualifiedName(key), field.child('key'), key))
    for (const [index, value] of values.entries()) {
      addAll(causes, all(checkLabelValue(value), field.child('values').index(index), value))
    }
  }
  return causes
}

function operatorFitsValues(operator: string, values: readonly string[], at: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) causes.push(invalidValue(at.child('values'), `${operator} needs values`))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) causes.push(invalidValue(at.child('values'), `${operator} takes no values`))
  } else {
    causes.push(
      invalidValue(at.child('operator'), `"${operator}" is none of In, NotIn, Exists, DoesNotExist`),
    )
  }
  return causes
}

/** One cause for each message of a check. */
export function all(messages: readonly string[], field: FieldPath, text: string): Cause[] {
  const causes: Cause[] = []
  for (const message of messages) causes.push(invalidValue(field, `"${text.slice(0, 100)}": ${message}`))
  return causes
}
