import { conflict, type RefusedKind } from '../lib/errors.ts'
import type { Vm, Vmi, VmiSpec } from '../kinds/kubevirt.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import { isHotpluggable, withoutVolume } from '../kinds/volumes.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { isDryRun } from './dry-run.ts'
import { patchLocked, setInStatus } from './locked-patch.ts'
import { getVm, getVmi, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'
import { refuseVmiChange } from './vmi-volumes.ts'
import {
  type HotplugMode,
  hotplugModeOf,
  readRemoval,
  REMOVE_FIELDS,
  specOperations,
} from './volume-options.ts'

const COMMON = {
  type: 'action',
  name: 'removevolume',
  method: 'PUT',
  verb: 'update',
  kind: 'RemoveVolumeOptions',
  success: 202,
  fields: REMOVE_FIELDS,
} as const

/** Removes a volume from a VM, and from its guest while that runs. Source: contract 3.9. */
export const removeVolumeFromVm: Action = {
  ...COMMON,
  resource: VMS,
  description: 'Remove a volume and disk from a VirtualMachine, running or not.',
  run: removeFromVm,
}

/** Removes a volume from a running guest alone. Source: contract 3.9. */
export const removeVolumeFromVmi: Action = {
  ...COMMON,
  resource: VMIS,
  description: 'Remove a volume and disk from a running VirtualMachineInstance.',
  run: removeFromVmi,
}

async function removeFromVm(call: Call): Promise<void> {
  const mode = hotplugModeOf(await call.configuration())
  const removal = readRemoval(call)
  const dryRun = isDryRun(call, COMMON.kind, removal.dryRun)
  await patchLocked(call, {
    kind: VMS,
    read: () => getVm(call),
    decide: (vm) => changeVm(vm, removal.name, mode),
    options: { dryRun, ...(mode === 'requests' && { subresource: 'status' }) },
  })
}

function changeVm(vm: Vm, wanted: string, mode: HotplugMode): JsonPatchOperation[] {
  const { spec } = vm.spec.template
  const name = resolveName(spec, wanted, VM, vm.metadata.name)
  if (mode === 'requests') return requestRemoval(vm, name)
  return specOperations('/spec/template/spec', spec, withoutVolume(spec, name))
}

function requestRemoval({ metadata, status }: Vm, name: string): JsonPatchOperation[] {
  const pending = status?.volumeRequests ?? []
  if (pending.some(({ removeVolumeOptions }) => removeVolumeOptions?.name === name)) {
    throw conflict(VM, metadata.name, `a request to remove the volume "${name}" is pending already`)
  }
  const others = pending.filter(({ addVolumeOptions }) => addVolumeOptions?.name !== name)
  return [setInStatus(status, 'volumeRequests', [...others, { removeVolumeOptions: { name } }])]
}

async function removeFromVmi(call: Call): Promise<void> {
  const mode = hotplugModeOf(await call.configuration())
  const removal = readRemoval(call)
  const dryRun = isDryRun(call, COMMON.kind, removal.dryRun)
  await patchLocked(call, {
    kind: VMIS,
    read: () => getVmi(call),
    decide: (vmi) => changeVmi(vmi, removal.name, mode),
    options: { dryRun },
  })
}

function changeVmi(vmi: Vmi, wanted: string, mode: HotplugMode): JsonPatchOperation[] {
  refuseVmiChange(vmi, mode)
  const name = resolveName(vmi.spec, wanted, VMI, vmi.metadata.name)
  return specOperations('/spec', vmi.spec, withoutVolume(vmi.spec, name))
}

/**
 * The volume's own name, where it may be called by that of its claim or DataVolume, too (contract: VO-2, F7). Throws
 * 409 where there is none, or it is not one that can be removed.
 */
function resolveName({ volumes = [] }: VmiSpec, wanted: string, kind: RefusedKind, name: string): string {
  const found = volumes.find(
    (volume) =>
      volume.name === wanted ||
      volume.dataVolume?.name === wanted ||
      volume.persistentVolumeClaim?.claimName === wanted,
  )
  if (!found) {
    throw conflict(kind, name, `Unable to remove volume [${wanted}] because it does not exist`)
  }
  if (found.memoryDump) {
    throw conflict(kind, name, `[${wanted}] holds a memory dump: use removememorydump`)
  }
  if (!isHotpluggable(found)) {
    throw conflict(kind, name, `Unable to remove volume [${wanted}] because it is not hotpluggable`)
  }
  return found.name
}
