import { conflict } from '../lib/errors.ts'
import type { Vm, Vmi, VmiSpec } from '../kinds/kubevirt.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import { claimNameOf, withVolume } from '../kinds/volumes.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { isDryRun } from './dry-run.ts'
import { patchLocked, setInStatus } from './locked-patch.ts'
import { getVm, getVmi, VM, VMI } from './lookup.ts'
import type { Action, Call } from './subresource.ts'
import { refuseVmiChange } from './vmi-volumes.ts'
import {
  ADD_FIELDS,
  type Addition,
  type HotplugMode,
  hotplugModeOf,
  readAddition,
  specOperations,
  volumeOf,
} from './volume-options.ts'

const COMMON = {
  type: 'action',
  name: 'addvolume',
  method: 'PUT',
  verb: 'update',
  kind: 'AddVolumeOptions',
  success: 202,
  fields: ADD_FIELDS,
} as const

/** Adds a volume to a VM, and to its guest while that runs. Source: contract 3.9. */
export const addVolumeToVm: Action = {
  ...COMMON,
  resource: VMS,
  description: 'Add a volume and disk to a VirtualMachine, running or not.',
  run: addToVm,
}

/** Adds a volume to a running guest alone. Source: contract 3.9. */
export const addVolumeToVmi: Action = {
  ...COMMON,
  resource: VMIS,
  description: 'Add a volume and disk to a running VirtualMachineInstance.',
  run: addToVmi,
}

async function addToVm(call: Call): Promise<void> {
  const mode = hotplugModeOf(await call.configuration())
  const addition = readAddition(call)
  const dryRun = isDryRun(call, COMMON.kind, addition.dryRun)
  await patchLocked(call, {
    kind: VMS,
    read: () => getVm(call),
    decide: (vm) => changeVm(vm, addition, mode),
    options: { dryRun, ...(mode === 'requests' && { subresource: 'status' }) },
  })
}

function changeVm(vm: Vm, addition: Addition, mode: HotplugMode): JsonPatchOperation[] {
  const { spec } = vm.spec.template
  const problem = findClash(spec, addition)
  if (problem) throw conflict(VM, vm.metadata.name, problem)
  if (mode === 'declarative') {
    return specOperations('/spec/template/spec', spec, withVolume(spec, volumeOf(addition), addition.disk))
  }
  return requestAddition(vm, addition)
}

function requestAddition({ metadata, status }: Vm, addition: Addition): JsonPatchOperation[] {
  const { name, disk, source } = addition
  const pending = status?.volumeRequests ?? []
  const isPending = pending.some(
    ({ addVolumeOptions, removeVolumeOptions }) =>
      addVolumeOptions?.name === name || removeVolumeOptions?.name === name,
  )
  if (isPending) throw conflict(VM, metadata.name, `a request about the volume "${name}" is pending already`)
  const request = { addVolumeOptions: { name, disk, volumeSource: source } }
  return [setInStatus(status, 'volumeRequests', [...pending, request])]
}

async function addToVmi(call: Call): Promise<void> {
  const mode = hotplugModeOf(await call.configuration())
  const addition = readAddition(call)
  const dryRun = isDryRun(call, COMMON.kind, addition.dryRun)
  await patchLocked(call, {
    kind: VMIS,
    read: () => getVmi(call),
    decide: (vmi) => changeVmi(vmi, addition, mode),
    options: { dryRun },
  })
}

function changeVmi(vmi: Vmi, addition: Addition, mode: HotplugMode): JsonPatchOperation[] {
  refuseVmiChange(vmi, mode)
  const problem = findClash(vmi.spec, addition)
  if (problem) throw conflict(VMI, vmi.metadata.name, problem)
  return specOperations('/spec', vmi.spec, withVolume(vmi.spec, volumeOf(addition), addition.disk))
}

/** Why the volume cannot be added. Source: contract 3.9, "Content checks". */
function findClash({ volumes = [] }: VmiSpec, { name, source }: Addition): string | undefined {
  if (volumes.some((volume) => volume.name === name)) {
    return `Unable to add volume [${name}] because volume with that name already exists`
  }
  const claim = source.dataVolume?.name ?? source.persistentVolumeClaim?.claimName
  const same = volumes.find((volume) => !volume.memoryDump && claimNameOf(volume) === claim)
  if (claim === undefined || !same) return undefined
  return `Unable to add volume source [${claim}] because it already exists: volume [${same.name}] has it`
}
