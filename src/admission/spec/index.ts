/**
 * The rules for a guest's spec, wherever it stands: the order is the one in which clients see the causes.
 * Contract: admission-vmi.md, section 4.
 */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { affinityIsSound, spreadIsSound } from './affinity.ts'
import { disksAndBootOrderFit } from './boot-order.ts'
import { deviceClaimsAreSound, networkClaimsAreSound } from './claims.ts'
import * as cpu from './cpu.ts'
import { credentialsAreSound } from './credentials.ts'
import { disksAreWellFormed } from './disks.ts'
import { dnsIsSound } from './dns.ts'
import { evictionStrategyIsKnown, hostDevicesAreAllowed } from './eviction.ts'
import { graceSuits } from './grace.ts'
import * as graphics from './graphics.ts'
import { hostnameIsLabel, subdomainIsDns } from './hostname.ts'
import {
  inputIsTablet,
  ioThreadsPolicyIsKnown,
  networkProbeHasPodNetwork,
  probeHasOneHandler,
} from './inputs.ts'
import * as interfaces from './interfaces.ts'
import { gatedDevicesAreAllowed, gatedSettingsAreAllowed, launchSecurityIsSound } from './launch-security.ts'
import * as machine from './machine.ts'
import * as memory from './memory.ts'
import * as networks from './networks.ts'
import type { RuleConfig, SpecRule } from './rule.ts'
import { serviceAccountIsOne } from './service-account.ts'
import * as volumes from './volumes.ts'

/** The rules for networks, which are asked a second time when a VMI is created. */
export const NETWORK_RULES: readonly SpecRule[] = [
  networks.defaultNetworkIsOne,
  networks.networkHasOneSource,
  networks.multusNetworkIsNamed,
  interfaces.linkStateFits,
  interfaces.bindingFitsNetwork,
  networks.networkNamesDiffer,
  networkClaimsAreSound,
  networks.networkHasInterface,
  interfaces.interfaceNamesDiffer,
  interfaces.interfaceHasNetwork,
  interfaces.interfaceIsWellFormed,
]

/** What is asked before the rules for networks. */
export const RULES_BEFORE_NETWORKS: readonly SpecRule[] = [
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
  affinityIsSound,
  spreadIsSound,
]

/** What is asked after them. */
export const RULES_AFTER_NETWORKS: readonly SpecRule[] = [
  deviceClaimsAreSound,
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
  credentialsAreSound,
  dnsIsSound,
  evictionStrategyIsKnown,
  graphics.displayedGpuIsOne,
  hostDevicesAreAllowed,
  graceSuits,
  graphics.soundIsKnown,
  launchSecurityIsSound,
  gatedDevicesAreAllowed,
  graphics.videoHasDisplay,
  graphics.panicDeviceIsKnown,
  gatedSettingsAreAllowed,
  serviceAccountIsOne,
]

/** All rules for a guest's spec. */
export const SPEC_RULES: readonly SpecRule[] = [
  ...RULES_BEFORE_NETWORKS,
  ...NETWORK_RULES,
  ...RULES_AFTER_NETWORKS,
]

/** What rules have to say about a spec, in their order. */
export function applyRules(
  rules: readonly SpecRule[],
  spec: VmiSpec,
  at: FieldPath,
  config: RuleConfig,
): Cause[] {
  const causes: Cause[] = []
  for (const rule of rules) for (const cause of rule(spec, at, config)) causes.push(cause)
  return causes
}
