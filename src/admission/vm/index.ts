/** What is done to VMs. Contract: admission-vm.md; admission-mutating.md, section 2. */
import type { Vm } from '../../kinds/kubevirt.ts'
import type { KindAdmission } from '../review-input.ts'
import { completeTemplate, completeVmSkeleton, giveFirmwareIdentity, notePciTopology } from './mutate.ts'
import {
  dataVolumesAreInNamespace,
  newBindingIsStillThere,
  snapshotIsUndisturbed,
  templateIsGiven,
  vmSpecIsSound,
  warnOfRunning,
} from './rules.ts'

export const createVm: KindAdmission<Vm> = {
  mutators: [completeVmSkeleton, giveFirmwareIdentity, completeTemplate, notePciTopology],
  stages: [templateIsGiven, newBindingIsStillThere, vmSpecIsSound, dataVolumesAreInNamespace],
  warn: warnOfRunning,
}

export const updateVm: KindAdmission<Vm> = {
  mutators: [completeVmSkeleton, completeTemplate],
  stages: [templateIsGiven, vmSpecIsSound, dataVolumesAreInNamespace, snapshotIsUndisturbed],
  warn: warnOfRunning,
}
