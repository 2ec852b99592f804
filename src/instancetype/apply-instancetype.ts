/** Gives a guest what its instance type says. Contract: admission-vm.md, 2.3. */
import type { InstancetypeSpec, PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec, VmiTemplate } from '../kinds/kubevirt.ts'
import { formatBytes, isQuantity, quantityToBytes, type QuantityText } from '../lib/quantity.ts'
import { splitVcpus } from './topology.ts'

/**
 * Writes the instance type into a template that does not conflict with it, in place. The preference says how vCPUs
 * are laid out.
 */
export function applyInstancetype(
  template: VmiTemplate,
  instancetype: InstancetypeSpec,
  preference: PreferenceSpec | undefined,
): void {
  const { spec } = template
  const { nodeSelector, schedulerName, annotations } = instancetype
  if (nodeSelector) spec.nodeSelector = { ...nodeSelector }
  if (schedulerName) spec.schedulerName = schedulerName
  applyCpu(spec, instancetype, preference)
  applyMemory(spec, instancetype)
  applyDomain(spec, instancetype)
  if (annotations) {
    template.metadata = {
      ...template.metadata,
      annotations: { ...template.metadata?.annotations, ...annotations },
    }
  }
}

function applyCpu(
  { domain }: VmiSpec,
  { cpu }: InstancetypeSpec,
  preference: PreferenceSpec | undefined,
): void {
  // Instance types are stored without their CPU where webhooks alone looked at them.
  const { guest = 0, dedicatedCPUPlacement, ...others } = cpu ?? {}
  domain.cpu = {
    ...domain.cpu,
    ...structuredClone(others),
    ...(dedicatedCPUPlacement !== undefined && { dedicatedCpuPlacement: dedicatedCPUPlacement }),
    ...splitVcpus(guest, preference),
  }
}

function applyMemory({ domain }: VmiSpec, { memory }: InstancetypeSpec): void {
  const { guest = '0', overcommitPercent = 0, ...others } = memory ?? {}
  domain.memory = { ...domain.memory, ...structuredClone(others), guest }
  if (overcommitPercent <= 0 || !isQuantity(guest)) return
  const requests = { ...domain.resources?.requests, memory: overcommitted(guest, overcommitPercent) }
  domain.resources = { ...domain.resources, requests }
}

/** What is asked of the node for guest memory of which so many per cent are not kept ready: reckoned as KubeVirt does. */
function overcommitted(guest: QuantityText, percent: number): string {
  const factor = Math.fround(1 - Math.fround(Math.fround(percent) / 100))
  const bytes = BigInt(Math.trunc(Math.fround(Math.fround(Number(quantityToBytes(guest))) * factor)))
  return String(guest).trim().endsWith('i') ? formatBytes(bytes) : String(bytes)
}

function applyDomain({ domain }: VmiSpec, instancetype: InstancetypeSpec): void {
  const { ioThreads, ioThreadsPolicy, launchSecurity, gpus, hostDevices } = instancetype
  if (ioThreads) domain.ioThreads = { ...domain.ioThreads, ...ioThreads }
  if (ioThreadsPolicy !== undefined) domain.ioThreadsPolicy = ioThreadsPolicy
  if (launchSecurity) domain.launchSecurity = structuredClone(launchSecurity)
  if (gpus?.length) domain.devices = { ...domain.devices, gpus: structuredClone(gpus) }
  if (hostDevices?.length) domain.devices = { ...domain.devices, hostDevices: structuredClone(hostDevices) }
}
