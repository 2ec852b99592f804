import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { forbiddenValue, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

/** A guest that is kept from its host's eyes is one that can be. Contract: VMI-LS-001 … 009; PRIM-016. */
export function* launchSecurityIsSound(spec: VmiSpec, at: FieldPath, config: RuleConfig): Iterable<Cause> {
  const { launchSecurity } = spec.domain
  if (!launchSecurity) return
  const { architecture = '' } = spec
  if (architecture !== 'amd64' && architecture !== 's390x') {
    yield invalidValue(at.child('architecture'), 'launchSecurity is for amd64 and s390x')
  }
  if (architecture !== 'amd64') return
  const field = at.child('launchSecurity')
  const { sev, snp, tdx } = launchSecurity
  if ([sev, snp, tdx].filter(Boolean).length !== 1) {
    yield forbiddenValue(field, 'choose one of sev, snp and tdx')
    return
  }
  const gate = tdx ? 'WorkloadEncryptionTDX' : 'WorkloadEncryptionSEV'
  if (!config.isGateOn(gate)) yield invalidValue(field, `the feature gate ${gate} is off`)
  else yield* guestSuits(spec, field)
}

function* guestSuits({ domain, startStrategy }: VmiSpec, field: FieldPath): Iterable<Cause> {
  const { sev, snp, tdx } = domain.launchSecurity ?? {}
  const { smm } = domain.features ?? {}
  if (tdx && smm && smm.enabled !== false) yield invalidValue(field, 'tdx needs SMM to be off')
  const efi = domain.firmware?.bootloader?.efi
  if (!efi) yield invalidValue(field, 'needs EFI: set firmware.bootloader.efi')
  if (efi && (sev || snp) && efi.secureBoot !== false) {
    yield invalidValue(field, 'sev and snp need secureBoot to be false')
  }
  if (efi && (snp || tdx) && efi.persistent) yield invalidValue(field, 'snp and tdx have no persistent EFI')
  if (sev?.attestation && startStrategy !== 'Paused') {
    yield invalidValue(field, 'attestation needs startStrategy Paused')
  }
  for (const { name, bootOrder } of domain.devices?.interfaces ?? []) {
    if (bootOrder !== undefined) yield invalidValue(field, `the interface "${name}" cannot be booted from`)
  }
}

/**
 * Some devices and settings need their feature gate. Contract: VMI-VSOCK-001, VMI-PR-001, VMI-DM-001, VMI-FS-001.
 */
export function* gatedDevicesAreAllowed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Iterable<Cause> {
  const devices = devicesOf(spec)
  const field = at.child('domain', 'devices')
  if (devices.autoattachVSOCK && !config.isGateOn('VSOCK')) {
    yield invalidValue(field.child('autoattachVSOCK'), gateIsOff('VSOCK'))
  }
  const hasReservation = (devices.disks ?? []).some(({ lun }) => lun?.reservation)
  if (hasReservation && !config.isReservationOn) {
    yield invalidValue(
      field.child('disks', 'luns', 'reservation'),
      'persistent reservation is off: set persistentReservationConfiguration.enabled in the KubeVirt object',
    )
  }
  if (devices.downwardMetrics && !config.isGateOn('DownwardMetrics')) {
    yield invalidValue(field.child('downwardMetrics'), gateIsOff('DownwardMetrics'))
  }
  if (config.isGateOn('EnableVirtioFsStorageVolumes')) return
  for (const { name } of devices.filesystems ?? []) {
    const volume = spec.volumes?.findLast((candidate) => candidate.name === name)
    if (volume?.persistentVolumeClaim || volume?.dataVolume) {
      yield invalidValue(
        field.child('filesystems'),
        `"${name}": ${gateIsOff('EnableVirtioFsStorageVolumes')}`,
      )
    }
  }
}

/**
 * What follows on a guest's reboot, and on memory that is set aside, needs its gate. Contract: VMI-REBOOT-001,
 * VMI-OVH-001.
 */
export function* gatedSettingsAreAllowed(
  { domain }: VmiSpec,
  at: FieldPath,
  config: RuleConfig,
): Iterable<Cause> {
  // Newer than the published types.
  const hasPolicy = 'rebootPolicy' in domain && domain.rebootPolicy !== undefined
  if (hasPolicy && !config.isGateOn('RebootPolicy')) {
    yield invalidValue(at.child('domain', 'rebootPolicy'), gateIsOff('RebootPolicy'))
  }
  const { memory = {} } = domain
  const hasOverhead = 'reservedOverhead' in memory && memory.reservedOverhead !== undefined
  if (hasOverhead && !config.isGateOn('ReservedOverheadMemlock')) {
    yield invalidValue(at.child('domain', 'memory', 'reservedOverhead'), gateIsOff('ReservedOverheadMemlock'))
  }
}

function gateIsOff(gate: string): string {
  return `the feature gate ${gate} is off: turn it on in the KubeVirt object`
}
