/** What is done to VMs. Contract: admission-vm.md; admission-mutating.md, section 2. */
import type { Vm } from '../../kinds/kubevirt.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { AdmissionRequest } from '../admission.ts'
import { namedByVm } from '../foreign.ts'
import type { KindAdmission } from '../review-input.ts'
import { INSTANCETYPE, PREFERENCE } from '../../instancetype/references.ts'
import {
  followSource,
  gatherReferences,
  keepPreferred,
  matcherIsSound,
  nameInferred,
  preferenceIsSatisfied,
  revisionFollowsName,
  templateFitsInstancetype,
  type VmFacts,
} from './instancetype.ts'
import { derivedValuesAreKnown, staysAsWritten } from './derived-values.ts'
import { completeTemplate, completeVmSkeleton, giveFirmwareIdentity, notePciTopology } from './mutate.ts'
import {
  dataVolumesAreInNamespace,
  discontinuedBindingIsUnused,
  newBindingIsStillThere,
  restoreIsUndisturbed,
  snapshotIsUndisturbed,
  templateIsGiven,
  vmSpecIsSound,
  warnOfRunning,
} from './rules.ts'
import { gatherRequests, volumeRequestsCanBeMet, type RequestFacts } from './volume-requests.ts'

async function gatherFacts(request: AdmissionRequest, reader: ObjectReader): Promise<VmFacts & RequestFacts> {
  return { ...(await gatherReferences(request, reader)), ...(await gatherRequests(request, reader)) }
}

/** What a VM may say of its references. */
const MATCHERS = [
  revisionFollowsName(INSTANCETYPE),
  revisionFollowsName(PREFERENCE),
  matcherIsSound(INSTANCETYPE),
  matcherIsSound(PREFERENCE),
]

const names = ({ spec }: Vm, namespace: string) => namedByVm(spec, namespace, 'spec')

export const createVm: KindAdmission<Vm, VmFacts & RequestFacts> = {
  names,
  gather: gatherFacts,
  before: MATCHERS,
  mutators: [
    completeVmSkeleton,
    nameInferred,
    keepPreferred,
    giveFirmwareIdentity,
    followSource,
    completeTemplate,
    notePciTopology,
  ],
  staysAsWritten,
  stages: [
    derivedValuesAreKnown,
    templateIsGiven,
    templateFitsInstancetype,
    preferenceIsSatisfied,
    discontinuedBindingIsUnused,
    newBindingIsStillThere,
    vmSpecIsSound,
    dataVolumesAreInNamespace,
    volumeRequestsCanBeMet,
  ],
  warn: warnOfRunning,
}

export const updateVm: KindAdmission<Vm, VmFacts & RequestFacts> = {
  names,
  gather: gatherFacts,
  before: MATCHERS,
  mutators: [completeVmSkeleton, nameInferred, keepPreferred, followSource, completeTemplate],
  staysAsWritten,
  stages: [
    derivedValuesAreKnown,
    templateIsGiven,
    templateFitsInstancetype,
    preferenceIsSatisfied,
    vmSpecIsSound,
    dataVolumesAreInNamespace,
    snapshotIsUndisturbed,
    restoreIsUndisturbed,
    volumeRequestsCanBeMet,
  ],
  warn: warnOfRunning,
}

/** A VM's status, written by itself. Contract: VM-STAT-006, 007, 008. */
export const updateVmStatus: KindAdmission<Vm, RequestFacts> = {
  gather: gatherRequests,
  mutators: [],
  stages: [volumeRequestsCanBeMet, snapshotIsUndisturbed, restoreIsUndisturbed],
}
