import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, forbiddenValue, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

/** A guest that is kept from its host's eyes is one that can be. Contract: VMI-LS-001 … 009; PRIM-016. */
export function launchSecurityIsSound(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const { launchSecurity } = spec.domain
  if (!launchSecurity) return []
  const { architecture = '' } = spec
  const causes: Cause[] = []
  if (architecture !== 'amd64' && architecture !== 's390x') {
    causes.push(invalidValue(at.child('architecture'), 'launchSecurity is for amd64 and s390x'))
  }
  if (architecture !== 'amd64') return causes
  const field = at.child('launchSecurity')
  const { sev, snp, tdx } = launchSecurity
  if ([sev, snp, tdx].filter(Boolean).length !== 1) {
    causes.push(forbiddenValue(field, 'choose one of sev, snp and tdx'))
    return causes
  }
  const gate = tdx ? 'WorkloadEncryptionTDX' : 'WorkloadEncryptionSEV'
  if (!config.isGateOn(gate)) causes.push(invalidValue(field, `the feature gate ${gate} is off`))
  else addAll(causes, guestSuits(spec, field))
  return causes
}

function guestSuits({ domain, startStrategy }: VmiSpec, field: FieldPath): Cause[] {
  const { sev, snp, tdx } = domain.launchSecurity ?? {}
  const { smm } = domain.features ?? {}
  const causes: Cause[] = []
  if (tdx && smm && smm.enabled !== false) causes.push(invalidValue(field, 'tdx needs SMM to be off'))
  const efi = domain.firmware?.bootloader?.efi
  if (!efi) causes.push(invalidValue(field, 'needs EFI: set firmware.bootloader.efi'))
  if (efi && (sev || snp) && efi.secureBoot !== false) {
    causes.push(invalidValue(field, 'sev and snp need secureBoot to be false'))
  }
  if (efi && (snp || tdx) && efi.persistent)
    causes.push(invalidValue(field, 'snp and tdx have no persistent EFI'))
  if (sev?.attestation && startStrategy !== 'Paused') {
    causes.push(invalidValue(field, 'attestation needs startStrategy Paused'))
  }
  for (const { name, bootOrder } of domain.devices?.interfaces ?? []) {
    if (bootOrder !== undefined)
      causes.push(invalidValue(field, `the interface "${name}" cannot be booted from`))
  }
  return causes
}

/**
 * Some devices and settings need their feature gate. Contract: VMI-VSOCK-001, VMI-PR-001, VMI-DM-001, VMI-FS-001.
 */
export function gatedDevicesAreAllowed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const devices = devicesOf(spec)
  const field = at.child('domain', 'devices')
  const causes: Cause[] = []
  if (devices.autoattachVSOCK && !config.isGateOn('VSOCK')) {
    causes.push(invalidValue(field.child('autoattachVSOCK'), gateIsOff('VSOCK')))
  }
  const hasReservation = (devices.disks ?? []).some(({ lun }) => lun?.reservation)
  if (hasReservation && !config.isReservationOn) {
    causes.push(
      invalidValue(
        field.child('disks', 'luns', 'reservation'),
        'persistent reservation is off: set persistentReservationConfiguration.enabled in the KubeVirt object',
      ),
    )
  }
  if (devices.downwardMetrics && !config.isGateOn('DownwardMetrics')) {
    causes.push(invalidValue(field.child('downwardMetrics'), gateIsOff('DownwardMetrics')))
  }
  if (config.isGateOn('EnableVirtioFsStorageVolumes')) return causes
  for (const { name } of devices.filesystems ?? []) {
    const volume = spec.volumes?.findLast((candidate) => candidate.name === name)
    if (volume?.persistentVolumeClaim || volume?.dataVolume) {
      causes.push(
        invalidValue(field.child('filesystems'), `"${name}": ${gateIsOff('EnableVirtioFsStorageVolumes')}`),
      )
    }
  }
  return causes
}

/**
 * What follows on a guest's reboot, and on memory that is set aside, needs its gate. Contract: VMI-REBOOT-001,
 * VMI-OVH-001.
 */
export function gatedSettingsAreAllowed({ domain }: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  // Newer than the published types.
  const hasPolicy = 'rebootPolicy' in domain && domain.rebootPolicy !== undefined
  const causes: Cause[] = []
  if (hasPolicy && !config.isGateOn('RebootPolicy')) {
    causes.push(invalidValue(at.child('domain', 'rebootPolicy'), gateIsOff('RebootPolicy')))
  }
  const { memory = {} } = domain
  const hasOverhead = 'reservedOverhead' in memory && memory.reservedOverhead !== undefined
  if (hasOverhead && !config.isGateOn('ReservedOverheadMemlock')) {
    causes.push(
      invalidValue(at.child('domain', 'memory', 'reservedOverhead'), gateIsOff('ReservedOverheadMemlock')),
    )
  }
  return causes
}

function gateIsOff(gate: string): string {
  return `the feature gate ${gate} is off: turn it on in the KubeVirt object`
}
