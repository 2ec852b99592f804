/** How the vCPUs of an instance type become sockets, cores and threads. Contract: admission-vm.md, 2.2 and 2.3. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import { invalidValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'

/** Where vCPUs go. */
export type Topology = 'sockets' | 'cores' | 'threads' | 'spread' | 'any' | 'unknown'

/** Over what vCPUs are spread, and how many of the lower make one of the upper. */
export interface Spread {
  across: string
  ratio: number
}

/** Sockets, cores a socket, threads a core. */
export interface CpuTopology {
  sockets: number
  cores: number
  threads: number
}

const TOPOLOGIES: Record<string, Topology> = {
  sockets: 'sockets',
  preferSockets: 'sockets',
  cores: 'cores',
  preferCores: 'cores',
  threads: 'threads',
  preferThreads: 'threads',
  spread: 'spread',
  preferSpread: 'spread',
  any: 'any',
  preferAny: 'any',
}

/** Every name that a preference may give a topology. */
export const TOPOLOGY_NAMES: readonly string[] = Object.keys(TOPOLOGIES)

/** The topology that a preference asks for: sockets where it does not say. */
export function topologyOf(preference: PreferenceSpec | undefined): Topology {
  const name = preference?.cpu?.preferredCPUTopology ?? 'sockets'
  return Object.hasOwn(TOPOLOGIES, name) ? (TOPOLOGIES[name] ?? 'unknown') : 'unknown'
}

/** How a preference spreads vCPUs. */
export function spreadOf(preference: PreferenceSpec | undefined): Spread {
  const { across, ratio } = preference?.cpu?.spreadOptions ?? {}
  return {
    across: across ?? 'SocketsCores',
    ratio: ratio ?? (preference?.preferSpreadSocketToCoreRatio || 2),
  }
}

/** vCPUs that are to be spread can be. Contract: VM-SPREAD-001 … 003; CRASH-008. */
export function vcpusCanBeSpread(guest: number, preference: PreferenceSpec | undefined): Cause[] {
  if (topologyOf(preference) !== 'spread') return []
  const { across, ratio } = spreadOf(preference)
  if (ratio > 0 && guest % lowestStep(across, ratio) === 0) return []
  return [
    invalidValue(
      'instancetype.spec.cpu.guest',
      `${guest} vCPUs cannot be spread across ${across} with a ratio of ${ratio}: ` +
        'choose another instance type or preference',
    ),
  ]
}

function lowestStep(across: string, ratio: number): number {
  if (across === 'SocketsCoresThreads') return 2 * ratio
  return across === 'SocketsCores' || across === 'CoresThreads' ? ratio : 1
}

/** The topology of that many vCPUs. Contract: admission-vm.md, 2.3. */
export function splitVcpus(guest: number, preference: PreferenceSpec | undefined): CpuTopology {
  const one = { sockets: 1, cores: 1, threads: 1 }
  if (guest === 1) return one
  switch (topologyOf(preference)) {
    case 'cores':
      return { ...one, cores: guest }
    case 'threads':
      return { ...one, threads: guest }
    case 'spread':
      return { ...one, ...spread(guest, spreadOf(preference)) }
    case 'sockets':
    case 'any':
      return { ...one, sockets: guest }
    default:
      return one
  }
}

function spread(guest: number, { across, ratio }: Spread): Partial<CpuTopology> {
  switch (across) {
    case 'SocketsCores':
      return { cores: ratio, sockets: Math.trunc(guest / ratio) }
    case 'CoresThreads':
      return { threads: ratio, cores: Math.trunc(guest / ratio) }
    case 'SocketsCoresThreads':
      return { threads: 2, cores: ratio, sockets: Math.trunc(Math.trunc(guest / 2) / ratio) }
    default:
      return {}
  }
}
