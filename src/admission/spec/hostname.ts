import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { isDns1123Label, isDns1123Subdomain } from '../../lib/names.ts'

/** A host name is a DNS label. Contract: VMI-HOST-001. */
export function hostnameIsLabel({ hostname }: VmiSpec, at: FieldPath): Cause[] {
  return hostname && !isDns1123Label(hostname)
    ? [
        invalidValue(
          at.child('hostname'),
          `"${hostname}" is no DNS label: use lower case letters, digits and -`,
        ),
      ]
    : []
}

/** A subdomain is a DNS subdomain. Contract: VMI-HOST-002. */
export function subdomainIsDns({ subdomain }: VmiSpec, at: FieldPath): Cause[] {
  return subdomain && !isDns1123Subdomain(subdomain)
    ? [
        invalidValue(
          at.child('subdomain'),
          `"${subdomain}" is no DNS subdomain: use DNS labels with dots between`,
        ),
      ]
    : []
}
