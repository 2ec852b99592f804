/** What a preference demands of a guest. Contract: admission-vm.md, section 4. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'
import { missingValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { compareQuantities, isQuantity } from '../lib/quantity.ts'
import type { References } from './find.ts'
import { spreadOf, topologyOf, type CpuTopology } from './topology.ts'

const TEMPLATE = 'spec.template.spec'
const CPU = `${TEMPLATE}.domain.cpu`

/** The preference's demands are met; the first that is not is told. Contract: VM-REQ-001 … 011. */
export function requirementsAreMet(spec: VmiSpec, references: References): Cause[] {
  const { preference } = references
  if (!preference?.requirements) return []
  const unmet =
    findCpuGap(spec, references, preference) ??
    findMemoryGap(spec, references, preference) ??
    findArchitectureGap(spec, preference)
  return unmet ? [unmet] : []
}

function findCpuGap(
  { domain }: VmiSpec,
  { instancetype }: References,
  preference: PreferenceSpec,
): Cause | undefined {
  const required = preference.requirements?.cpu?.guest
  if (required === undefined) return undefined
  const tell = (field: string, provided: number): Cause | undefined =>
    provided < required
      ? missingValue(field, `${provided} vCPUs are fewer than the ${required} its preference requires`)
      : undefined
  if (instancetype) return tell('spec.instancetype', instancetype.cpu?.guest ?? 0)
  if (!domain.cpu) return missingValue(CPU, `${required} vCPUs are required by the preference`)
  const counted = countedMembers(preference)
  const counts = { sockets: 0, cores: 0, threads: 0, ...domain.cpu }
  // As the reference reckons: unsigned, with 32 bits.
  const provided =
    counted.length === 0 ? 0 : counted.reduce((product, name) => Math.imul(product, counts[name]) >>> 0, 1)
  return tell(counted.map((name) => `${CPU}.${name}`).join(', '), provided)
}

/** What has to be multiplied to see how many vCPUs the guest's own topology gives. */
function countedMembers(preference: PreferenceSpec): (keyof CpuTopology)[] {
  switch (topologyOf(preference)) {
    case 'threads':
      return ['threads']
    case 'cores':
      return ['cores']
    case 'any':
      return ['cores', 'sockets', 'threads']
    case 'spread':
      return spreadMembers(spreadOf(preference).across)
    default:
      return ['sockets']
  }
}

function spreadMembers(across: string): (keyof CpuTopology)[] {
  switch (across) {
    case 'SocketsCores':
      return ['sockets', 'cores']
    case 'CoresThreads':
      return ['cores', 'threads']
    case 'SocketsCoresThreads':
      return ['sockets', 'cores', 'threads']
    default:
      return []
  }
}

function findMemoryGap(
  { domain }: VmiSpec,
  { instancetype }: References,
  { requirements }: PreferenceSpec,
): Cause | undefined {
  const required = requirements?.memory?.guest
  if (!isQuantity(required)) return undefined
  const given = domain.memory?.guest ?? instancetype?.memory?.guest
  const provided = isQuantity(given) ? given : '0'
  if (compareQuantities(provided, required) >= 0) return undefined
  const field = instancetype ? 'spec.instancetype' : `${TEMPLATE}.domain.memory`
  return missingValue(field, `memory of ${provided} is less than the ${required} its preference requires`)
}

function findArchitectureGap({ architecture }: VmiSpec, { requirements }: PreferenceSpec): Cause | undefined {
  const required = requirements?.architecture
  if (required === undefined || required === architecture) return undefined
  return missingValue(
    `${TEMPLATE}.architecture`,
    `the preference requires ${required}, and the guest has ${architecture ?? 'none'}`,
  )
}
