/**
 * The instance type and the preference of a VM: what it may say of them, what is inferred, and what its guest would
 * be with them. Contract: admission-vm.md, sections 2 to 4; admission-mutating.md, 2.1 to 2.3.
 */
import { preferArchitecture, preferMachine } from '../../instancetype/apply-preference.ts'
import { applyReferences } from '../../instancetype/expand.ts'
import { findSpec, type Getter, type References, type Referrer } from '../../instancetype/find.ts'
import { inferMatcher } from '../../instancetype/infer.ts'
import { INSTANCETYPE, InstancetypeError, PREFERENCE, type Referable } from '../../instancetype/references.ts'
import { findSourceArchitecture } from '../../instancetype/source-architecture.ts'
import { preferStorageClass } from '../../instancetype/prefer-storage.ts'
import { requirementsAreMet } from '../../instancetype/requirements.ts'
import type { Instancetype, Matcher, Preference } from '../../kinds/instancetype.ts'
import type { Vm, VmSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, missingValue, unsupportedValue } from '../../lib/causes.ts'
import { badRequest, type Cause } from '../../lib/errors.ts'
import { cloneJson } from '../../lib/json.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { ReviewInput } from '../review-input.ts'
import { staysAsWritten } from './derived-values.ts'
import { completeSkeleton, completeSpec } from '../vmi/spec-defaults.ts'

/** What came of an inference: a matcher, none, or what went wrong. */
type Inferred = { matcher: Matcher | undefined } | { failure: InstancetypeError }

/** What is read for a VM. */
export interface VmFacts {
  inferred: { instancetype?: Inferred; preference?: Inferred }
  references: References
  /** Of the source of the guest's disk. */
  sourceArchitecture: string | undefined
  /** Reckoned by the first rule that asks. */
  expansion?: Expansion
}

/** A VM's spec with all that its guest gets. */
export interface Expansion {
  spec: VmSpec
  /** What the template and the instance type both say. Where there is any, the spec is as it was. */
  conflicts: Cause[]
}

type Input = ReviewInput<Vm, VmFacts>

/** Reads what a VM refers to. A VM that names nothing costs no reading. */
export async function gatherReferences(request: AdmissionRequest, reader: Getter): Promise<VmFacts> {
  // The rules of VMs are asked about VMs alone.
  const vm = request.object as Vm
  const facts: VmFacts = { inferred: {}, references: {}, sourceArchitecture: undefined }
  if (vm.metadata.deletionTimestamp || !vm.spec.template) return facts
  const spec = {
    ...vm.spec,
    template: { ...vm.spec.template, spec: completeSkeleton(vm.spec.template.spec) },
  }
  const referrer: Referrer = { ...vm, spec }
  for (const what of [INSTANCETYPE, PREFERENCE]) {
    const inferred = await tryToInfer(reader, referrer, what)
    if (!inferred) continue
    facts.inferred[what.field] = inferred
    if (!('matcher' in inferred)) continue
    if (inferred.matcher) spec[what.field] = inferred.matcher
    else delete spec[what.field]
  }
  facts.references = {
    instancetype: await findOrIgnore(reader, referrer, INSTANCETYPE),
    preference: await findOrIgnore(reader, referrer, PREFERENCE),
  }
  if (!spec.template.spec.architecture && !facts.references.preference?.preferredArchitecture) {
    facts.sourceArchitecture = await findSourceArchitecture(reader, referrer)
  }
  return facts
}

async function tryToInfer(reader: Getter, vm: Referrer, what: Referable): Promise<Inferred | undefined> {
  if (!vm.spec[what.field]?.inferFromVolume) return undefined
  try {
    return { matcher: await inferMatcher(reader, vm, what) }
  } catch (error) {
    if (!(error instanceof InstancetypeError)) throw error
    return { failure: error }
  }
}

/** What cannot be found counts as not named: it may come later. Contract: admission-vm.md, 2.1. */
async function findOrIgnore<T extends Instancetype | Preference>(
  reader: Getter,
  vm: Referrer,
  what: Referable<T>,
): Promise<T['spec'] | undefined> {
  try {
    return await findSpec(reader, vm, what)
  } catch (error) {
    if (!(error instanceof InstancetypeError)) throw error
    return undefined
  }
}

/** Another object has another revision. Contract: MUT-VM-005, 006. */
export function revisionFollowsName({ field }: Referable) {
  return function ({ object, old }: Input): Cause[] {
    const [now, before] = [object.spec[field], old?.spec[field]]
    if (object.metadata.deletionTimestamp || !now?.revisionName || !before) return []
    if (now.name === before.name || now.revisionName !== before.revisionName) return []
    return [
      invalidValue(
        `spec.${field}.revisionName`,
        `"${now.revisionName}" is a revision of "${before.name}": remove it, so that one of "${now.name}" is made`,
      ),
    ]
  }
}

/** What a VM refers to is named, or left to be inferred, and not both. Contract: MUT-VM-007 … 014. */
export function matcherIsSound({ field, noun }: Referable) {
  return function ({ object }: Input): Cause[] {
    const matcher = object.spec[field]
    if (!matcher || object.metadata.deletionTimestamp) return []
    const { name, kind, inferFromVolume, inferFromVolumeFailurePolicy: policy } = matcher
    const at = `spec.${field}`
    const causes: Cause[] = []
    if (!name && !inferFromVolume)
      causes.push(missingValue(at, `name the ${noun}, or the volume to infer it from`))
    if (name && inferFromVolume)
      causes.push(unsupportedValue(`${at}.name`, `the ${noun} is inferred: remove its name`))
    if (kind && inferFromVolume)
      causes.push(unsupportedValue(`${at}.kind`, `the ${noun} is inferred: remove its kind`))
    if (policy !== undefined && policy !== 'Ignore' && policy !== 'Reject') {
      causes.push(
        invalidValue(`${at}.inferFromVolumeFailurePolicy`, `"${policy}" is neither Ignore nor Reject`),
      )
    }
    return causes
  }
}

/** Names what was inferred. Throws 400 where that was not possible. Contract: MUT-INF-014, 015. */
export function nameInferred({ object, facts }: Input): void {
  for (const what of [INSTANCETYPE, PREFERENCE]) {
    const inferred = facts.inferred[what.field]
    if (!inferred) continue
    if ('failure' in inferred) throw badRequest(inferred.failure.message)
    const policy = object.spec[what.field]?.inferFromVolumeFailurePolicy
    if (!inferred.matcher) {
      delete object.spec[what.field]
      continue
    }
    object.spec[what.field] = inferred.matcher
    // Whoever would do without an instance type has said how much memory that takes.
    if (what === INSTANCETYPE && policy === 'Ignore') delete object.spec.template.spec.domain.memory
  }
}

/** What a preference decides for the life of the VM. Contract: MUT-VM-020 … 022. */
export function keepPreferred({ object, facts: { references } }: Input): void {
  const { preference } = references
  if (!preference || object.metadata.deletionTimestamp || !object.spec.template) return
  const { spec } = object.spec.template
  preferArchitecture(spec, preference)
  preferMachine(spec, preference)
  preferStorageClass(object.spec, preference)
}

/** A guest has the architecture of its disk. Contract: MUT-VM-031. */
export function followSource({ object, facts }: Input): void {
  if (facts.sourceArchitecture) object.spec.template.spec.architecture ||= facts.sourceArchitecture
}

/** Does what was left out when the VM was stored. */
function derive(input: Input): void {
  nameInferred(input)
  keepPreferred(input)
  followSource(input)
}

/** The VM's spec as its guest would see it; nothing of it is stored. Contract: VM-DEF-001 … 010. */
export function expansionOf(input: Input): Expansion {
  const { object, config, facts } = input
  return (facts.expansion ??= expand())

  function expand(): Expansion {
    const spec = cloneJson(object.spec)
    spec.template.spec = completeSkeleton(spec.template.spec)
    if (staysAsWritten(input)) derive({ ...input, object: { ...object, spec } })
    const conflicts = applyReferences(spec.template, facts.references)
    if (conflicts.length === 0) completeSpec(spec.template.spec, config)
    return { spec, conflicts }
  }
}

/** The template leaves to the instance type what that decides. Contract: VM-SPREAD-001 … 003, VM-IT-001 … 023. */
export function templateFitsInstancetype(input: Input): Cause[] {
  return input.object.metadata.deletionTimestamp ? [] : expansionOf(input).conflicts
}

/** The guest has what its preference requires. Contract: VM-REQ-001 … 011. */
export function preferenceIsSatisfied(input: Input): Cause[] {
  if (input.object.metadata.deletionTimestamp) return []
  return requirementsAreMet(expansionOf(input).spec.template.spec, input.facts.references)
}
