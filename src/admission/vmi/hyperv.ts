import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'

/** The contract's path says the way twice. */
const AT = new FieldPath('spec.domain.features.hyperv.domain.features.hyperv')

const DEPENDENCIES = [
  ['evmcs', 'vapic'],
  ['ipi', 'vpindex'],
  ['tlbflush', 'vpindex'],
  ['synictimer', 'synic'],
  ['synic', 'vpindex'],
] as const

/** Hyper-V features have what they build on. Contract: VMI-HV-001 … 008. */
export function hypervIsConsistent({ domain }: VmiSpec): Cause[] {
  const { hyperv, hypervPassthrough } = domain.features ?? {}
  if (!hyperv) return []
  const causes: Cause[] = []
  for (const [feature, dependency] of DEPENDENCIES) {
    if (hyperv[feature]?.enabled && !hyperv[dependency]?.enabled) {
      causes.push(invalidValue(AT.child(feature), `needs ${dependency}: enable that too`))
    }
  }
  if (hyperv.evmcs && hyperv.evmcs.enabled !== false) addAll(causes, requireVmx(domain.cpu))
  if (hypervPassthrough)
    causes.push(invalidValue('spec.domain.features.hyperv', 'use either hyperv or hypervPassthrough'))
  return causes
}

function requireVmx(cpu: VmiSpec['domain']['cpu']): Cause[] {
  const field = new FieldPath('spec.domain.cpu.features')
  if (!cpu?.features?.length) {
    return [requiredValue(field, 'evmcs needs the CPU feature vmx with policy require')]
  }
  const causes: Cause[] = []
  for (const [position, { name, policy }] of cpu.features.entries()) {
    if (name === 'vmx' && policy !== 'require') {
      causes.push(invalidValue(field.index(position).child('policy'), 'evmcs needs vmx with policy require'))
    }
  }
  return causes
}
