/** What is done to exports. Contract: admission-others.md, section 11. */
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { specIsKept } from '../keep.ts'
import type { SpecOf, TypedReference } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'

type Export = SpecOf<{ source: TypedReference }>

/** The API group of each kind that can be exported. */
const GROUPS: Record<string, string> = {
  PersistentVolumeClaim: '',
  VirtualMachineSnapshot: 'snapshot.kubevirt.io',
  VirtualMachine: 'kubevirt.io',
  VirtualMachineBackup: 'backup.kubevirt.io',
  VirtualMachineTemplate: 'template.kubevirt.io',
}

/** What is exported is of a kind that can be, is named, and in its group. Contract: EXP-003 … 014. */
function sourceCanBeExported({ object, config }: ReviewInput<Export>): Cause[] {
  const { kind = '', name = '', apiGroup } = object.spec.source ?? {}
  const group = Object.hasOwn(GROUPS, kind) ? GROUPS[kind] : undefined
  if (group === undefined) {
    const known = Object.keys(GROUPS).join(', ')
    return [invalidValue('spec.source.kind', `"${kind}" cannot be exported: choose one of ${known}`)]
  }
  if (kind === 'VirtualMachineTemplate' && !config.areTemplatesExported) {
    return [
      invalidValue(
        'spec.source.kind',
        'exporting templates needs the feature gates OCIExport and Template, and virtTemplateDeployment enabled',
      ),
    ]
  }
  const causes: Cause[] = []
  if (name === '') causes.push(invalidValue('spec.source.name', `name the ${kind} to export`))
  if ((apiGroup ?? '') !== group) {
    const text = group === '' ? 'must be left out' : `must be ${group}`
    causes.push(invalidValue('spec.source.APIGroup', `the API group is "${apiGroup ?? ''}" and ${text}`))
  }
  return causes
}

export const createExport: KindAdmission<Export> = { mutators: [], stages: [sourceCanBeExported] }

/** Contract: EXP-016. */
export const updateExport: KindAdmission<Export> = { mutators: [], stages: [specIsKept] }
