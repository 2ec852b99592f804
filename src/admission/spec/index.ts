/**
 * The rules for a guest's spec, wherever it stands: the order is the one in which clients see the causes.
 * Contract: admission-vmi.md, section 4.
 */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { disksAndBootOrderFit } from './boot-order.ts'
import * as cpu from './cpu.ts'
import { disksAreWellFormed } from './disks.ts'
import { evictionStrategyIsKnown, hostDevicesAreAllowed } from './eviction.ts'
import { hostnameIsLabel, subdomainIsDns } from './hostname.ts'
import {
  inputIsTablet,
  ioThreadsPolicyIsKnown,
  networkProbeHasPodNetwork,
  probeHasOneHandler,
} from './inputs.ts'
import * as interfaces from './interfaces.ts'
import * as machine from './machine.ts'
import * as memory from './memory.ts'
import * as networks from './networks.ts'
import type { RuleConfig, SpecRule } from './rule.ts'
import * as volumes from './volumes.ts'

/** The rules for networks, which are asked a second time when a VMI is created. */
export const NETWORK_RULES: readonly SpecRule[] = [
  networks.defaultNetworkIsOne,
  networks.networkHasOneSource,
  networks.multusNetworkIsNamed,
  interfaces.linkStateFits,
  interfaces.bindingFitsNetwork,
  networks.networkNamesDiffer,
  networks.networkHasInterface,
  interfaces.interfaceNamesDiffer,
  interfaces.interfaceHasNetwork,
  interfaces.interfaceIsWellFormed,
]

/** All rules for a guest's spec. */
export const SPEC_RULES: readonly SpecRule[] = [
  hostnameIsLabel,
  subdomainIsDns,
  memory.memoryRequestIsUsable,
  memory.memoryLimitIsPositive,
  memory.memoryRequestIsWithinLimit,
  memory.memoryFitsHugepages,
  memory.guestMemoryIsWithinLimit,
  machine.machineTypeIsAllowed,
  machine.acpiTablesAreSecrets,
  cpu.cpuRequestIsPositive,
  cpu.cpuLimitIsPositive,
  cpu.cpuRequestIsWithinLimit,
  cpu.pinnedGuestHasMemory,
  cpu.pinnedRequestIsWhole,
  cpu.pinnedMemoryIsLimit,
  cpu.pinnedCountsAgree,
  cpu.pinnedThreadsAreFew,
  cpu.numaHasPinnedHugepages,
  cpu.emulatorThreadIsPinned,
  cpu.cpuFeaturePolicyIsKnown,
  cpu.socketsAreWithinMaximum,
  cpu.startStrategyIsKnown,
  cpu.realtimeIsPinned,
  ...NETWORK_RULES,
  disksAndBootOrderFit,
  inputIsTablet,
  ioThreadsPolicyIsKnown,
  probeHasOneHandler,
  networkProbeHasPodNetwork,
  disksAreWellFormed,
  machine.bootloaderIsOne,
  machine.kernelBootIsComplete,
  machine.secureBootHasSmm,
  volumes.volumesAreWellFormed,
  volumes.specialVolumesAreSingle,
  volumes.containerDiskPathIsPlain,
  volumes.utilityVolumesAreAbsent,
  evictionStrategyIsKnown,
  hostDevicesAreAllowed,
]

/** What rules have to say about a spec, in their order. */
export function* applyRules(
  rules: readonly SpecRule[],
  spec: VmiSpec,
  at: FieldPath,
  config: RuleConfig,
): Iterable<Cause> {
  for (const rule of rules) yield* rule(spec, at, config)
}
