import { conflict } from '../lib/errors.ts'
import { isTrue } from '../kinds/meta.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { VM } from './lookup.ts'

const REASONS = {
  ManualRecoveryRequired: 'its volumes have to be recovered by hand first (condition ManualRecoveryRequired)',
  VolumesChange: 'its volumes are being migrated (condition VolumesChange)',
}

/** Throws 409 while the VM's volumes are not fit for a new guest (contract: F25). */
export function refuseWhileVolumesMove({ metadata, status }: Vm): void {
  for (const [type, reason] of Object.entries(REASONS)) {
    if (isTrue(status?.conditions, type)) throw conflict(VM, metadata.name, reason)
  }
}
