import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { isDns1123Subdomain } from '../../lib/names.ts'

/** A guest's account can be one, and is the one its volumes are of. Contract: VMI-SA-001, 002. */
export function serviceAccountIsOne(spec: VmiSpec, at: FieldPath): Cause[] {
  // Newer than the published types.
  const name = 'serviceAccountName' in spec ? spec.serviceAccountName : undefined
  if (typeof name !== 'string' || name === '') return []
  const field = at.child('serviceAccountName')
  const causes: Cause[] = []
  if (!isDns1123Subdomain(name))
    causes.push(invalidValue(field, `"${name}" can be no name of a service account`))
  const other = (spec.volumes ?? []).find(
    ({ serviceAccount }) => serviceAccount && (serviceAccount.serviceAccountName ?? '') !== name,
  )
  if (other) causes.push(invalidValue(field, `the volume "${other.name}" is of another service account`))
  return causes
}
