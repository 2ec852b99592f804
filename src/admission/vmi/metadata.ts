import type { VmiTemplate } from '../../kinds/kubevirt.ts'
import { invalidValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import type { AdmissionConfig } from '../config.ts'

type Metadata = NonNullable<VmiTemplate['metadata']>

/** Labels that KubeVirt steers by. Contract: VMI-META-001. */
export const RESERVED_LABELS: readonly string[] = [
  'kubevirt.io/created-by',
  'kubevirt.io/migrationJobUID',
  'kubevirt.io/nodeName',
  'kubevirt.io/migrationTargetNodeName',
  'kubevirt.io/schedulable',
  'kubevirt.io/install-strategy',
]

const GATED_ANNOTATIONS = [
  ['kubevirt.io/ignitiondata', 'ExperimentalIgnitionSupport'],
  ['hooks.kubevirt.io/hookSidecars', 'Sidecar'],
] as const

/** Labels that KubeVirt steers by are set by KubeVirt alone. Contract: VMI-META-001. */
export function labelsAreFree({ labels = {} }: Metadata, at: FieldPath, isKubeVirt: boolean): Cause[] {
  if (isKubeVirt) return []
  const taken = RESERVED_LABELS.filter((label) => Object.hasOwn(labels, label))
  return taken.length > 0
    ? [unsupportedValue(at.child('labels'), `KubeVirt sets these labels itself: ${taken.join(', ')}`)]
    : []
}

/** Annotations with an effect need their gate. Contract: VMI-META-002, 003. */
export function annotationsAreAllowed(
  { annotations = {} }: Metadata,
  at: FieldPath,
  config: AdmissionConfig,
): Cause[] {
  const causes: Cause[] = []
  for (const [annotation, gate] of GATED_ANNOTATIONS) {
    if (annotations[annotation] && !config.isGateOn(gate)) {
      causes.push(invalidValue(at.child('annotations'), `${annotation}: the feature gate ${gate} is off`))
    }
  }
  return causes
}
