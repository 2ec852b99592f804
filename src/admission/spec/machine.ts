import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { matchesGlob } from '../../lib/glob.ts'
import { machinesOf } from '../config.ts'
import { isContainerPath } from './paths.ts'
import type { RuleConfig } from './rule.ts'

/** The machine type is one that may be emulated. Contract: VMI-MACH-001. */
export function machineTypeIsAllowed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const type = spec.domain.machine?.type
  if (!type) return []
  const { emulatedMachines } = machinesOf(config, spec.architecture)
  if (emulatedMachines.some((pattern) => matchesGlob(pattern, type))) return []
  return [
    invalidValue(
      at.child('domain', 'machine', 'type'),
      `"${type}" is none of ${emulatedMachines.join(', ')}`,
    ),
  ]
}

/** ACPI tables come from Secrets among the volumes. Contract: VMI-ACPI-001 … 005. */
export function acpiTablesAreSecrets({ domain, volumes = [] }: VmiSpec, at: FieldPath): Cause[] {
  const acpi = domain.firmware?.acpi
  if (!acpi) return []
  const { slicNameRef, msdmNameRef } = acpi
  const causes: Cause[] = []
  if (!slicNameRef && !msdmNameRef)
    causes.push(invalidValue(at.child('acpi'), 'name a volume in slicNameRef or msdmNameRef'))
  for (const [field, name] of Object.entries({ slicNameRef, msdmNameRef })) {
    if (!name) continue
    const volume = volumes.find((candidate) => candidate.name === name)
    if (!volume) causes.push(invalidValue(at.child('acpi', field), `there is no volume "${name}"`))
    else if (!volume.secret)
      causes.push(invalidValue(at.child('acpi', field), `the volume "${name}" is no secret volume`))
  }
  return causes
}

/** A guest boots by BIOS or by EFI. Contract: VMI-FW-001. */
export function bootloaderIsOne({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { efi, bios } = domain.firmware?.bootloader ?? {}
  return efi && bios
    ? [invalidValue(at.child('domain', 'firmware', 'bootloader'), 'use either efi or bios')]
    : []
}

/** A kernel to boot comes from an image that is named. Contract: VMI-FW-002 … 006. */
export function kernelBootIsComplete({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const kernelBoot = domain.firmware?.kernelBoot
  if (!kernelBoot) return []
  const field = at.child('domain', 'firmware', 'kernelBoot')
  const { container, kernelArgs } = kernelBoot
  const causes: Cause[] = []
  if (!container) {
    if (kernelArgs)
      causes.push(
        invalidValue(field.child('kernelArgs'), 'there is no kernel to hand them to: name a container'),
      )
    return causes
  }
  const { image, kernelPath, initrdPath } = container
  if (!image) causes.push(requiredValue(field.child('container', 'image'), 'name the image the kernel is in'))
  if (!kernelPath && !initrdPath)
    causes.push(requiredValue(field.child('container'), 'say kernelPath or initrdPath'))
  for (const [name, path] of Object.entries({ kernelPath, initrdPath })) {
    if (path && !isContainerPath(path))
      causes.push(invalidValue(field.child('container', name), `"${path}" is no plain absolute path`))
  }
  return causes
}

/** Secure boot needs system management mode. Contract: VMI-FW-007. */
export function secureBootHasSmm({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const efi = domain.firmware?.bootloader?.efi
  if (!efi || efi.secureBoot === false || domain.launchSecurity?.tdx) return []
  const { smm } = domain.features ?? {}
  if (smm && smm.enabled !== false) return []
  return [
    invalidValue(
      at.child('domain'),
      'secure boot needs features.smm: enable it, or set efi.secureBoot to false',
    ),
  ]
}
