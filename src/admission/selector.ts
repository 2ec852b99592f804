import { invalidValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { matchesLabels, requirementsOf, SelectorError, type LabelSelector } from '../lib/selectors.ts'

/** Whether labels are chosen; an absent selector chooses none. Throws `SelectorError`. Contract: PRIM-011. */
export function selects(selector: LabelSelector | undefined, labels: Record<string, string>): boolean {
  return selector !== undefined && matchesLabels(requirementsOf(selector), labels)
}

/**
 * A selector can be understood and chooses what is made from its template. Contract: RS-004, RS-005, POOL-003,
 * POOL-004.
 */
export function selectorFitsTemplate(
  selector: LabelSelector | undefined,
  labels: Record<string, string> | undefined,
): Cause[] {
  const causes: Cause[] = []
  try {
    if (selects(selector, labels ?? {})) return causes
    causes.push(
      invalidValue(
        'spec.selector',
        'does not choose what is made from the template: mend the labels of either',
      ),
    )
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error
    causes.push(invalidValue('spec.selector', error.message))
  }
  return causes
}
