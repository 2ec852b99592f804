/** What is done to clones. Contract: admission-others.md, section 12; admission-mutating.md, section 5. */
import { randomInt } from 'node:crypto'
import { addAll, invalidValue } from '../../lib/causes.ts'
import { badRequest, type Cause } from '../../lib/errors.ts'
import { generateName } from '../../lib/names.ts'
import { needsGate } from '../gate.ts'
import type { SpecOf, TypedReference } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { isMacAddress } from '../spec/addresses.ts'

interface CloneSpec {
  source?: TypedReference
  target?: TypedReference
  annotationFilters?: string[]
  labelFilters?: string[]
  template?: { annotationFilters?: string[]; labelFilters?: string[] }
  newMacAddresses?: Record<string, string>
  patches?: string[]
}
type Clone = SpecOf<CloneSpec>

/** A clone that is not named gets a name. Contract: MUT-CLN-002 … 005; CRASH-011. */
function nameTarget({ object }: ReviewInput<Clone>): void {
  const { spec } = object
  if (spec.target?.name) return
  if (!spec.source) throw badRequest('spec.source is required: name what is to be cloned')
  // Not cut to what a name may be: it is judged when the clone is made. Contract: MUT-CLN-004.
  const name = `clone-${spec.source.name ?? ''}-${generateName('', (below) => randomInt(below))}`
  const target = spec.target ?? { apiGroup: 'kubevirt.io', kind: 'VirtualMachine' }
  spec.target = { ...target, name }
}

/** All that is asked of a clone. Contract: CLONE-004 … 015; CRASH-009, 010. */
function cloneIsSound({ object }: ReviewInput<Clone>): Cause[] {
  const { spec } = object
  if (!spec.source) throw badRequest('spec.source is required: name what is to be cloned')
  const causes: Cause[] = []
  addAll(causes, filtersAreSound(spec.annotationFilters, 'spec.annotations'))
  addAll(causes, filtersAreSound(spec.labelFilters, 'spec.labels'))
  addAll(causes, filtersAreSound(spec.template?.annotationFilters, 'spec.template.annotations'))
  addAll(causes, filtersAreSound(spec.template?.labelFilters, 'spec.template.labels'))
  addAll(causes, endsAreSound(spec.source, spec.target))
  for (const [name, mac] of Object.entries(spec.newMacAddresses ?? {})) {
    if (mac === '' || isMacAddress(mac)) continue
    causes.push(
      invalidValue(`spec.newMacAddresses.${name}`, `"${mac}" is no MAC address, such as 02:00:00:00:00:01`),
    )
  }
  for (const [position, patch] of (spec.patches ?? []).entries()) {
    if (!isJson(patch)) causes.push(invalidValue(`spec.patches[${position}]`, 'is no JSON'))
  }
  return causes
}

function filtersAreSound(filters: string[] | undefined, field: string): Cause[] {
  const causes: Cause[] = []
  for (const filter of filters ?? []) {
    if (filter === '')
      throw badRequest(`${field}: a filter is empty: remove it, or write what it lets through`)
    if (filter === '!')
      causes.push(invalidValue(field, '"!" excludes nothing: write what it excludes after it'))
    if (filter.length === 1) continue
    if (filter.slice(1).includes('!')) causes.push(invalidValue(field, `"${filter}": ! may only stand first`))
    if (filter.slice(0, -1).includes('*'))
      causes.push(invalidValue(field, `"${filter}": * may only stand last`))
  }
  return causes
}

const SOURCES = ['VirtualMachine', 'VirtualMachineSnapshot']

function endsAreSound(source: TypedReference, target: TypedReference | undefined): Cause[] {
  const { kind = '', name = '', apiGroup } = source
  const causes: Cause[] = []
  if (!SOURCES.includes(kind)) {
    causes.push(
      invalidValue('spec.Source.Kind', `"${kind}" cannot be cloned: choose one of ${SOURCES.join(', ')}`),
    )
  }
  if (target && target.kind !== 'VirtualMachine') {
    causes.push(invalidValue('spec.Target.Kind', `a clone is a VirtualMachine, not "${target.kind ?? ''}"`))
  }
  if (!apiGroup) causes.push(invalidValue('spec.Source.APIGroup', 'name the API group of the source'))
  if (kind === '') causes.push(invalidValue('spec.Source', 'name the kind of the source'))
  if (name === '') causes.push(invalidValue('spec.Source.Name', 'name the source'))
  const areVms = kind === 'VirtualMachine' && target?.kind === 'VirtualMachine'
  if (areVms && (target?.name ?? '') === name) {
    causes.push(
      invalidValue('spec.target.name', `"${name}" cannot be a clone of itself: choose another name`),
    )
  }
  return causes
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    // That is what is asked.
    return false
  }
}

/** Contract: CLONE-002. */
export const createClone: KindAdmission<Clone> = {
  mutators: [nameTarget],
  stages: [needsGate('Snapshot'), cloneIsSound],
}

export const updateClone: KindAdmission<Clone> = { mutators: [], stages: [cloneIsSound] }
