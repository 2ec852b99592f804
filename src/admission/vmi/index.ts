/** What is done to VMIs. Contract: admission-vmi.md; admission-mutating.md, section 3. */
import type { Vmi } from '../../kinds/kubevirt.ts'
import { namedByGuest } from '../foreign.ts'
import type { KindAdmission } from '../review-input.ts'
import { hotplugIsPossible } from './hotplug.ts'
import {
  annotateSettings,
  beginVmi,
  completeVmiHotplug,
  completeVmiSpec,
  completeVmiStatus,
  keepVmiStatus,
} from './mutate.ts'
import { handlerIsOnItsNode } from './node-restriction.ts'
import { applyPresets, gatherPresets, warnOfPresets, type VmiFacts } from './presets.ts'
import { newVmiIsSound, reservedLabelsAreKept, specIsKept } from './rules.ts'

const names = ({ spec }: Vmi, namespace: string) => namedByGuest(spec, namespace, 'spec')

export const createVmi: KindAdmission<Vmi, VmiFacts> = {
  names,
  gather: gatherPresets,
  mutators: [
    applyPresets,
    completeVmiSpec,
    completeVmiStatus,
    completeVmiHotplug,
    annotateSettings,
    beginVmi,
  ],
  stages: [newVmiIsSound],
  warnCompleted: warnOfPresets,
}

export const updateVmi: KindAdmission<Vmi> = {
  names,
  mutators: [keepVmiStatus],
  stages: [handlerIsOnItsNode, specIsKept, hotplugIsPossible, reservedLabelsAreKept],
}
