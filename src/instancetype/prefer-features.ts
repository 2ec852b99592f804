/** Features of the virtual hardware as a preference wants them. Contract: admission-vm.md, VM-PREF-012. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'

/** Completes the features of a guest, in place. */
export function preferFeatures(
  { domain }: VmiSpec,
  preferred: NonNullable<PreferenceSpec['features']>,
): void {
  const { preferredAcpi, preferredHyperv, ...others } = structuredClone(preferred)
  const features = (domain.features ??= {})
  // The one feature in which the preference has the last word.
  if (preferredAcpi) features.acpi = preferredAcpi
  if (others.preferredApic) features.apic ??= others.preferredApic
  if (others.preferredKvm) features.kvm ??= others.preferredKvm
  if (others.preferredPvspinlock) features.pvspinlock ??= others.preferredPvspinlock
  if (others.preferredSmm) features.smm ??= others.preferredSmm
  // Each of its features by itself.
  if (preferredHyperv) features.hyperv = { ...preferredHyperv, ...features.hyperv }
}
