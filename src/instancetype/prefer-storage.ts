import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmSpec } from '../kinds/kubevirt.ts'

/** Gives a VM's DataVolumes the storage class of its preference, in place, where they name none. Contract: MUT-VM-022. */
export function preferStorageClass({ dataVolumeTemplates = [] }: VmSpec, { volumes }: PreferenceSpec): void {
  const storageClassName = volumes?.preferredStorageClassName
  if (!storageClassName) return
  for (const { spec } of dataVolumeTemplates) {
    for (const claim of [spec.pvc, spec.storage]) if (claim) claim.storageClassName ??= storageClassName
  }
}
