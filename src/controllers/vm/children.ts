import { conflict, hasReason } from '../../lib/errors.ts'
import { refusedKind } from '../../kinds/kind.ts'
import { isFinal, VM_FINALIZER, VMI_FINALIZER } from '../../kinds/kubevirt.ts'
import type { Vm, Vmi } from '../../kinds/kubevirt.ts'
import { controllerOf } from '../../kinds/meta.ts'
import { VMIS, VMS } from '../../kinds/table.ts'
import type { Store } from '../../store/store.ts'
import { ownerReferenceTo } from '../owner-reference.ts'
import { saveRevision } from './revision.ts'
import { buildVmi, VM_GENERATION_ANNOTATION } from './template.ts'
import type { NewVmi } from './template.ts'

/** Whether the VMI was made by this VM. */
export function isOwnedBy(vmi: Vmi, vm: Vm): boolean {
  return controllerOf(vmi)?.uid === vm.metadata.uid
}

/** Whether a VM of the VMI's name may take it over: a VM that was deleted with `--cascade=orphan` left it. */
export function isLeftBehind(vmi: Vmi): boolean {
  const madeByVm = vmi.metadata.annotations?.[VM_GENERATION_ANNOTATION] !== undefined
  return madeByVm && !controllerOf(vmi) && vmi.metadata.deletionTimestamp === undefined
}

/** Makes the VM the owner of a VMI that another one of its name left behind. */
export async function adoptVmi(store: Store, vm: Vm, vmi: Vmi): Promise<Vmi> {
  const { metadata } = vmi
  const ownerReferences = [...(metadata.ownerReferences ?? []), ownerReferenceTo(VMS, vm)]
  const finalizers = [...new Set([...(metadata.finalizers ?? []), VM_FINALIZER])]
  return store.update(VMIS, { ...vmi, metadata: { ...metadata, ownerReferences, finalizers } })
}

/**
 * Creates the VM's VMI. Throws 409 `Conflict` where the VM is not as it was read: a start must not be carried out
 * twice, nor before a delay that the cache has not heard of.
 */
export async function createVmi(store: Store, vm: Vm, options: NewVmi): Promise<void> {
  const { namespace, name, resourceVersion } = vm.metadata
  const live = await store.get(VMS, namespace, name)
  if (live?.metadata.resourceVersion !== resourceVersion) {
    throw conflict(refusedKind(VMS), name, 'it has changed since it was read')
  }
  await saveRevision(store, vm)
  await store.create(VMIS, buildVmi(vm, options))
}

/** Deletes this very VMI; one that is gone already is no error. */
export async function deleteVmi(store: Store, { metadata }: Vmi): Promise<void> {
  const { namespace, name, uid } = metadata
  try {
    await store.delete(VMIS, namespace, name, { preconditions: { uid }, propagationPolicy: 'Background' })
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
  }
}

/** Whether the VM's finalizer may come off the VMI: it has ended, or was forced away. Source: 7.3, CT-8. */
export function mayRelease({ metadata, status }: Vmi): boolean {
  if (!metadata.finalizers?.includes(VM_FINALIZER)) return false
  if (isFinal(status?.phase)) return true
  return metadata.deletionTimestamp !== undefined && !metadata.finalizers.includes(VMI_FINALIZER)
}

/** Takes the VM's finalizer off its VMI. */
export async function releaseVmi(store: Store, vmi: Vmi): Promise<void> {
  const finalizers = vmi.metadata.finalizers?.filter((name) => name !== VM_FINALIZER) ?? []
  try {
    await store.update(VMIS, { ...vmi, metadata: { ...vmi.metadata, finalizers } })
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
  }
}
