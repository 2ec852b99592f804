/** Firmware as a preference wants it. Contract: admission-vm.md, VM-PREF-013. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'

/** Completes the firmware of a guest, in place. */
export function preferFirmware(
  { domain }: VmiSpec,
  preferred: NonNullable<PreferenceSpec['firmware']>,
): void {
  const firmware = (domain.firmware ??= {})
  const bootloader = (firmware.bootloader ??= {})
  const isUndecided = (): boolean => !bootloader.bios && !bootloader.efi
  if (preferred.preferredUseBios && isUndecided()) bootloader.bios = {}
  if (preferred.preferredUseBiosSerial !== undefined && bootloader.bios) {
    bootloader.bios.useSerial ??= preferred.preferredUseBiosSerial
  }
  if (preferred.preferredEfi && isUndecided()) {
    bootloader.efi = { ...preferred.preferredEfi }
    return
  }
  if (preferred.preferredUseEfi && isUndecided()) bootloader.efi = {}
  if (preferred.preferredUseSecureBoot !== undefined && bootloader.efi) {
    bootloader.efi.secureBoot ??= preferred.preferredUseSecureBoot
  }
}
