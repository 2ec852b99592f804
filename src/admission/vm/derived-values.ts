/** Keeps values that follow from others out of a VM's spec, for those who keep manifests under version control. */
import type { Vm } from '../../kinds/kubevirt.ts'
import { unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { DERIVED_VALUES_ANNOTATION } from '../config.ts'
import type { ReviewInput } from '../review-input.ts'

/** Whether the VM is stored as it was written. */
export function staysAsWritten({ object, config }: ReviewInput<Vm>): boolean {
  return (object.metadata.annotations?.[DERIVED_VALUES_ANNOTATION] ?? config.derivedValues) === 'Runtime'
}

/** The annotation says one of the places there are. */
export function derivedValuesAreKnown({ object }: ReviewInput<Vm>): Cause[] {
  const said = object.metadata.annotations?.[DERIVED_VALUES_ANNOTATION]
  if (said === undefined || said === 'Spec' || said === 'Runtime') return []
  return [
    unsupportedValue(
      `metadata.annotations[${DERIVED_VALUES_ANNOTATION}]`,
      `"${said}" is neither Spec nor Runtime`,
    ),
  ]
}
