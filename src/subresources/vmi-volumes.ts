import { badRequest, conflict } from '../lib/errors.ts'
import { apiVersionOf } from '../kinds/kind.ts'
import type { Vmi } from '../kinds/kubevirt.ts'
import { controllerOf } from '../kinds/meta.ts'
import { VMS } from '../kinds/table.ts'
import { VMI } from './lookup.ts'
import type { HotplugMode } from './volume-options.ts'

/**
 * Whether the volumes of a VMI itself may be changed. Throws 400 where its VM decides over them, 409 where it does not
 * run. Source: contract 3.9, steps 6 and 7.
 */
export function refuseVmiChange(vmi: Vmi, mode: HotplugMode): void {
  const { name } = vmi.metadata
  const owner = controllerOf(vmi)
  const isOfVm = owner?.kind === VMS.kind && owner.apiVersion === apiVersionOf(VMS)
  if (isOfVm && mode === 'declarative') {
    throw badRequest(
      `VirtualMachineInstance "${name}" belongs to a VirtualMachine: change the volumes of VirtualMachine "${owner.name}"`,
    )
  }
  if (vmi.status?.phase !== 'Running') throw conflict(VMI, name, 'VMI is not running')
}
