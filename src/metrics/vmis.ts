/** What is told of VMIs. Source: contract metrics.md, section 3. */
import type { Vmi } from '../kinds/kubevirt.ts'
import { isFinal } from '../kinds/kubevirt.ts'
import { isTrue } from '../kinds/meta.ts'
import { memoryOverheadBytes } from '../kinds/overhead.ts'
import { nicReadings } from './nics.ts'
import { withoutRepeats, type Reading } from './reading.ts'

/** A VMI that was started by a version before ours. Source: contract, labels of VMIs. */
const OUTDATED = 'kubevirt.io/outdatedLauncherImage'

/** All series of one VMI; `defaultEviction` is the eviction strategy of those that name none. */
export function vmiReadings(vmi: Vmi, defaultEviction: string | undefined): Reading[] {
  const { name, namespace } = vmi.metadata
  const node = vmi.status?.nodeName ?? ''
  const labels = { node, namespace, name }
  const isStuck = cannotBeEvicted(vmi, defaultEviction)
  return [
    infoOf(vmi, !isStuck),
    { name: 'kubevirt_vmi_non_evictable', labels, value: isStuck ? 1 : 0 },
    {
      name: 'kubevirt_vmi_launcher_memory_overhead_bytes',
      labels: { namespace, name },
      value: Number(memoryOverheadBytes(vmi.spec)),
    },
    ...withoutRepeats(addressesOf(vmi, labels)),
    ...(vmi.status?.phase === 'Running'
      ? nicReadings('kubevirt_vmi_vnic_info', vmi.spec, { name, namespace })
      : []),
  ]
}

/** How many of them were started by a version before ours. */
export function outdatedReading(vmis: readonly Vmi[]): Reading {
  const value = vmis.filter((vmi) => isOutdated(vmi) && !isFinal(vmi.status?.phase)).length
  return { name: 'kubevirt_vmi_number_of_outdated', labels: {}, value }
}

function infoOf(vmi: Vmi, isEvictable: boolean): Reading {
  const { metadata, spec, status } = vmi
  const { annotations = {} } = metadata
  const { kernelRelease, machine, name: osName, versionId } = status?.guestOSInfo ?? {}
  const labels: Record<string, string | undefined> = {
    node: status?.nodeName,
    namespace: metadata.namespace,
    name: metadata.name,
    phase: status?.phase?.toLowerCase(),
    os: annotations['vm.kubevirt.io/os'],
    workload: annotations['vm.kubevirt.io/workload'],
    flavor: annotations['vm.kubevirt.io/flavor'],
    instance_type:
      annotations['kubevirt.io/instancetype-name'] ?? annotations['kubevirt.io/cluster-instancetype-name'],
    preference:
      annotations['kubevirt.io/preference-name'] ?? annotations['kubevirt.io/cluster-preference-name'],
    guest_os_kernel_release: kernelRelease,
    guest_os_machine: machine,
    guest_os_arch: spec.architecture,
    guest_os_name: osName,
    guest_os_version_id: versionId,
    evictable: String(isEvictable),
    outdated: String(isOutdated(vmi)),
  }
  const present = Object.entries(labels).flatMap(([key, value]) => (value ? [[key, value]] : []))
  return { name: 'kubevirt_vmi_info', labels: Object.fromEntries(present), value: 1 }
}

function isOutdated({ metadata: { labels } }: Vmi): boolean {
  return labels?.[OUTDATED] !== undefined
}

/** It is to be moved when its node is emptied, and cannot be. */
function cannotBeEvicted({ spec, status }: Vmi, defaultEviction: string | undefined): boolean {
  const strategy = spec.evictionStrategy ?? defaultEviction
  return (
    strategy === 'LiveMigrate' && !isFinal(status?.phase) && !isTrue(status?.conditions, 'LiveMigratable')
  )
}

function addressesOf({ status }: Vmi, labels: Record<string, string>): Reading[] {
  const cards = status?.interfaces ?? []
  return cards.flatMap((card) => {
    const addresses = new Set([...(card.ipAddress ? [card.ipAddress] : []), ...(card.ipAddresses ?? [])])
    return [...addresses].map((address) => ({
      name: 'kubevirt_vmi_status_addresses',
      labels: {
        ...labels,
        vnic_name: card.name ?? '',
        interface_name: card.interfaceName ?? '',
        address,
        // Without a name in the spec it is the guest's own affair.
        type: card.name ? 'ExternalInterface' : 'SystemInterface',
      },
      value: 1,
    }))
  })
}
