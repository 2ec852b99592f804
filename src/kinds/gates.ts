/** KubeVirt's feature gates, all of them. Contract: admission-overview.md, section 8. */

/** Always on. */
const GA = new Set(
  (
    'LiveMigration SRIOVLiveMigration NonRoot PSA CPUNodeDiscovery CommonInstancetypesDeploymentGate GPU HotplugNICs ' +
    'BochsDisplayForEFIGuests VMLiveUpdateFeatures NetworkBindingPlugins DynamicPodInterfaceNaming ' +
    'VolumesUpdateStrategy VolumeMigration DisableCustomSELinuxPolicy AutoResourceLimitsGate ClusterProfiler ' +
    'VMPersistentState VMExport InstancetypeReferencePolicy EnableVirtioFsConfigVolumes ExpandDisks PanicDevices ' +
    'LiveUpdateNADRef VideoConfig SecureExecution MigrationPriorityQueue NUMA PersistentReservation'
  ).split(' '),
)

/** On unless they are listed as disabled. */
const BETA = new Set(
  (
    'LibvirtHooksServerAndClient ImageVolume KubevirtSeccompProfile PodSecondaryInterfaceNamingUpgrade ' +
    'ExternalNetResourceInjection VmiMemoryOverheadReport OptOutRoleAggregation Snapshot WorkloadEncryptionSEV ' +
    'NodeRestriction GPUsWithDRA HostDevicesWithDRA DeclarativeHotplugVolumes PasstBinding RebootPolicy Template'
  ).split(' '),
)

/** Off unless they are listed: alpha, deprecated and discontinued ones. */
const OFF = new Set(
  (
    'CPUManager HypervStrictCheck ObjectGraph ConfigurableHypervisor VGPULiveMigration VMStatsCollector ' +
    'FirmwareAutoSelection CrossArchitectureVirtualization ContainerPathVolumes ExperimentalIgnitionSupport Sidecar ' +
    'HostDevices HostDisk DownwardMetrics Root WorkloadEncryptionTDX VSOCK AlignCPUs EnableVirtioFsStorageVolumes ' +
    'PCINUMAAwareTopology IOMMUFD GraceIOVirtualization NetworkDevicesWithDRA DecentralizedLiveMigration ' +
    'UtilityVolumes IncrementalBackup ReservedOverheadMemlock OCIExport Plugins MigrationStallDetection ' +
    'PortRangesSpec DockerSELinuxMCSWorkaround MultiArchitecture DisableMDEVConfiguration HotplugVolumes ' +
    'ExperimentalVirtiofsSupport PasstIPStackMigration Passt Macvtap'
  ).split(' '),
)

/** Whether a gate is on, given the names that the KubeVirt object lists. A name nobody knows is off. */
export function isGateOn(gate: string, enabled: readonly string[], disabled: readonly string[]): boolean {
  if (GA.has(gate)) return true
  if (!BETA.has(gate) && !OFF.has(gate)) return false
  if (enabled.includes(gate)) return true
  return BETA.has(gate) && !disabled.includes(gate)
}
