/** Feature gates that admission reads. Contract: admission-overview.md, section 8. */

/** On unless they are listed as disabled. */
const BETA = new Set([
  'Snapshot',
  'WorkloadEncryptionSEV',
  'NodeRestriction',
  'GPUsWithDRA',
  'HostDevicesWithDRA',
  'DeclarativeHotplugVolumes',
  'PasstBinding',
  'RebootPolicy',
  'Template',
])

/** Off unless they are listed. */
const ALPHA = new Set([
  'ExperimentalIgnitionSupport',
  'Sidecar',
  'HostDevices',
  'HostDisk',
  'DownwardMetrics',
  'Root',
  'WorkloadEncryptionTDX',
  'VSOCK',
  'AlignCPUs',
  'EnableVirtioFsStorageVolumes',
  'PCINUMAAwareTopology',
  'IOMMUFD',
  'GraceIOVirtualization',
  'NetworkDevicesWithDRA',
  'DecentralizedLiveMigration',
  'UtilityVolumes',
  'IncrementalBackup',
  'ReservedOverheadMemlock',
  'OCIExport',
  'Plugins',
  'MigrationStallDetection',
  'PortRangesSpec',
])

/** Whether a gate is on, given the names that the KubeVirt object lists. A name nobody knows is off. */
export function isGateOn(gate: string, enabled: readonly string[], disabled: readonly string[]): boolean {
  if (!BETA.has(gate) && !ALPHA.has(gate)) return false
  if (enabled.includes(gate)) return true
  return BETA.has(gate) && !disabled.includes(gate)
}
