import type { Vm } from '../kinds/kubevirt.ts'
import { cloneJson } from '../lib/json.ts'
import { findSpec, type Getter } from './find.ts'
import { inferMatcher } from './infer.ts'
import { completeSkeleton } from './skeleton.ts'
import { preferStorageClass } from './prefer-storage.ts'
import { INSTANCETYPE, PREFERENCE, type Referable } from './references.ts'
import { findSourceArchitecture } from './source-architecture.ts'

/**
 * A copy of a VM with what follows from its references and disks, for making its VMI and DataVolumes. Admission has
 * written all of that into the spec already, unless the VM is to stay as it was written; then it is found here. What the
 * status notes of references counts before what could be inferred now, so that a guest stays what it is.
 *
 * Throws `InstancetypeError` where something cannot be found.
 */
export async function deriveVm(reader: Getter, vm: Vm): Promise<Vm> {
  const derived = cloneJson(vm)
  const { spec } = derived
  completeSkeleton(spec.template)
  for (const what of [INSTANCETYPE, PREFERENCE]) await settleMatcher(reader, derived, what)
  const preference = await findSpec(reader, derived, PREFERENCE)
  if (preference) preferStorageClass(spec, preference)
  const guest = spec.template.spec
  if (!guest.architecture && !preference?.preferredArchitecture) {
    const architecture = await findSourceArchitecture(reader, derived)
    if (architecture) guest.architecture = architecture
  }
  return derived
}

/** Contract: MUT-INF-014, 015. */
async function settleMatcher(reader: Getter, vm: Vm, what: Referable): Promise<void> {
  const { spec, status } = vm
  const matcher = spec[what.field]
  if (!matcher?.inferFromVolume) return
  const isNoted = status?.[what.ref]?.inferFromVolume === matcher.inferFromVolume
  const named = isNoted ? matcher : await inferMatcher(reader, vm, what)
  if (named) spec[what.field] = named
  else delete spec[what.field]
  const { inferFromVolumeFailurePolicy: policy } = matcher
  // Whoever would do without an instance type has said how much memory that takes.
  if (named && what === INSTANCETYPE && policy === 'Ignore') delete spec.template.spec.domain.memory
}
