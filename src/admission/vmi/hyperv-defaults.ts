import type { VmiSpec } from '../../kinds/kubevirt.ts'

/** What each feature builds on, in the order in which that is looked at. */
const DEPENDENCIES = [
  ['evmcs', 'vapic'],
  ['ipi', 'vpindex'],
  ['tlbflush', 'vpindex'],
  ['synictimer', 'synic'],
  ['synic', 'vpindex'],
] as const

/** Turns on what the Hyper-V features asked for build on, in place. Contract: MUT-HV-001, 002, 003. */
export function completeHyperv({ domain }: VmiSpec): void {
  const hyperv = domain.features?.hyperv
  if (!hyperv) return
  for (const [feature, dependency] of DEPENDENCIES) {
    if (!hyperv[feature]?.enabled) continue
    // A contradiction is left as it is: the rules name it.
    if (hyperv[dependency]?.enabled === false) return
    hyperv[dependency] = { ...hyperv[dependency], enabled: true }
  }
  if (!hyperv.evmcs || hyperv.evmcs.enabled === false) return
  const others = (domain.cpu?.features ?? []).filter(({ name }) => name !== 'vmx')
  const before = domain.cpu?.features?.find(({ name }) => name === 'vmx')
  if (before) before.policy = 'require'
  else domain.cpu = { ...domain.cpu, features: [...others, { name: 'vmx', policy: 'require' }] }
}
