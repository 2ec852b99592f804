/** What is done to VMIs. Contract: admission-vmi.md; admission-mutating.md, section 3. */
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { KindAdmission } from '../review-input.ts'
import { beginVmi, completeVmiHotplug, completeVmiSpec, completeVmiStatus, keepVmiStatus } from './mutate.ts'
import { newVmiIsSound, reservedLabelsAreKept, specIsKept } from './rules.ts'

export const createVmi: KindAdmission<Vmi> = {
  mutators: [completeVmiSpec, completeVmiStatus, completeVmiHotplug, beginVmi],
  stages: [newVmiIsSound],
}

export const updateVmi: KindAdmission<Vmi> = {
  mutators: [keepVmiStatus],
  stages: [specIsKept, reservedLabelsAreKept],
}
