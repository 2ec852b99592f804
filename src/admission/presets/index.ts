/** What is done to presets. Contract: admission-others.md, section 3. */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import type { SpecOf } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { disksAreWellFormed } from '../spec/disks.ts'
import * as machine from '../spec/machine.ts'

type Preset = SpecOf<{ domain?: VmiSpec['domain'] }>

const SPEC = new FieldPath('spec')

/** A preset is a part of a guest: its disks and its firmware are looked at. Contract: PRESET-001 … 003. */
function presetIsSound({ object }: ReviewInput<Preset>): Cause[] {
  const { domain } = object.spec
  if (!domain) {
    return [requiredValue(SPEC.child('domain'), 'a preset says something about the guest: give it a domain')]
  }
  const causes: Cause[] = []
  const spec: VmiSpec = { domain }
  addAll(causes, disksAreWellFormed(spec, SPEC))
  addAll(causes, machine.bootloaderIsOne(spec, SPEC))
  addAll(causes, machine.kernelBootIsComplete(spec, SPEC))
  return causes
}

export const presetAdmission: KindAdmission<Preset> = { mutators: [], stages: [presetIsSound] }
