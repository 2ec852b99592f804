/** A VM as it would be without its references: all they say is written out. Contract: subresources.md, 3.12. */
import type { MayUse } from '../kinds/foreign-use.ts'
import type { VmiSpec, VmiTemplate } from '../kinds/kubevirt.ts'
import type { Cause } from '../lib/errors.ts'
import { applyInstancetype } from './apply-instancetype.ts'
import { applyPreference } from './apply-preference.ts'
import { findConflicts } from './conflicts.ts'
import { findReferences, type Getter, type References, type Referrer } from './find.ts'
import { guardReader } from './guarded-reader.ts'
import { inferMatcher } from './infer.ts'
import { preferAutoattach } from './prefer-devices.ts'
import { INSTANCETYPE, InstancetypeError, PREFERENCE } from './references.ts'
import { completeSkeleton } from './skeleton.ts'
import { vcpusCanBeSpread } from './topology.ts'

export type { Getter } from './find.ts'

/** What every guest gets where its spec says nothing. Both change a spec in place. */
export interface SpecDefaults {
  /** A disk for each volume, and the default network. Throws 400 where no default network is possible. */
  attach(spec: VmiSpec): void
  /** Everything: machine type, CPU topology, memory, eviction strategy, … */
  complete(spec: VmiSpec): void
}

/** What expansion is put together from. */
export interface ExpanderParts {
  reader: Getter
  /** Asked at each expansion, so that a change of the KubeVirt object counts at once. */
  defaults: () => SpecDefaults | Promise<SpecDefaults>
}

/** Writes out what VMs refer to. */
export interface Expander {
  /**
   * A copy of the VM without its references. What they are inferred from in other namespaces is read where `mayUse` lets
   * it. Throws `InstancetypeError` where one cannot be used, and what `mayUse` throws.
   */
  expandVm<T extends Referrer>(vm: T, mayUse: MayUse): Promise<T>
  /** The VM's template as its guest is made from it: devices are attached, the other defaults are left to admission. */
  expandTemplate(vm: Referrer): Promise<VmiTemplate>
}

/** A template that contradicts its instance type. */
export class InstancetypeConflict extends InstancetypeError {
  readonly causes: Cause[]

  constructor(causes: Cause[]) {
    super(`the template contradicts the instance type: ${causes.map(({ message }) => message).join(', ')}`)
    this.name = 'InstancetypeConflict'
    this.causes = causes
  }
}

/** Expansion for a role to hand to those who need it. */
export function buildExpander({ reader, defaults }: ExpanderParts): Expander {
  return {
    async expandVm(vm, mayUse) {
      if (!vm.spec.instancetype && !vm.spec.preference) return vm
      const expanded = structuredClone(vm)
      completeSkeleton(expanded.spec.template)
      const guarded = guardReader(reader, vm.metadata.namespace, mayUse)
      const found = await findReferences(reader, await withInferred(guarded, expanded))
      const given = await defaults()
      applyAll(expanded.spec.template, found, given)
      given.complete(expanded.spec.template.spec)
      return forgetReferences(expanded)
    },
    async expandTemplate(vm) {
      const template = structuredClone(vm.spec.template)
      completeSkeleton(template)
      applyAll(template, await findReferences(reader, vm), await defaults())
      return template
    },
  }
}

/** A VM that was never admitted may still leave a name to be inferred. */
async function withInferred<T extends Referrer>(reader: Getter, vm: T): Promise<T> {
  const { instancetype: _instancetype, preference: _preference, ...others } = vm.spec
  const instancetype = await inferMatcher(reader, vm, INSTANCETYPE)
  const preference = await inferMatcher(reader, vm, PREFERENCE)
  const spec = { ...others, ...(instancetype && { instancetype }), ...(preference && { preference }) }
  return { ...vm, spec }
}

function applyAll(template: VmiTemplate, references: References, defaults: SpecDefaults): void {
  const { preference } = references
  // Whether there is a default network is the preference's to say.
  if (preference?.devices) preferAutoattach(template.spec, preference.devices)
  defaults.attach(template.spec)
  const conflicts = applyReferences(template, references)
  if (conflicts.length > 0) throw new InstancetypeConflict(conflicts)
}

/**
 * Writes an instance type and a preference into a template, in place. Where the template contradicts the instance
 * type, its causes are returned and nothing is written. Contract: admission-vm.md, 2.2 to 2.4.
 */
export function applyReferences(template: VmiTemplate, { instancetype, preference }: References): Cause[] {
  if (instancetype) {
    const unspreadable = vcpusCanBeSpread(instancetype.cpu?.guest ?? 0, preference)
    if (unspreadable.length > 0) return unspreadable
    const conflicts = findConflicts(template, instancetype)
    if (conflicts.length > 0) return conflicts
    applyInstancetype(template, instancetype, preference)
  }
  if (preference) applyPreference(template, preference)
  return []
}

function forgetReferences<T extends Referrer>(vm: T): T {
  delete vm.spec.instancetype
  delete vm.spec.preference
  delete vm.status?.instancetypeRef
  delete vm.status?.preferenceRef
  return vm
}
