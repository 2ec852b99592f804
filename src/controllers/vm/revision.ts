import { hasReason } from '../../lib/errors.ts'
import { isRecord, isSameJson } from '../../lib/json.ts'
import { apiVersionOf } from '../../kinds/kind.ts'
import type { Vm, Vmi } from '../../kinds/kubevirt.ts'
import { CONTROLLER_REVISIONS } from '../../kinds/table.ts'
import type { Store } from '../../store/store.ts'
import { generationOf, ownerReferenceTo, VM_GENERATION_ANNOTATION } from './template.ts'

/** Label on the revisions of a VM: its UID. */
const VM_UID_LABEL = 'virtgate.io/vm-uid'

/** Name of the ControllerRevision that holds the spec a VM was started with. Source: contract 7.3, CT-7. */
export function revisionName(vmUid: string, generation: number): string {
  return `revision-start-vm-${vmUid}-${generation}`
}

/** Keeps the VM's spec of now for comparisons to come, and forgets those of earlier starts. */
export async function saveRevision(store: Store, vm: Vm): Promise<void> {
  const { namespace, uid } = vm.metadata
  const name = revisionName(uid, generationOf(vm))
  try {
    await store.create(CONTROLLER_REVISIONS, {
      apiVersion: apiVersionOf(CONTROLLER_REVISIONS),
      kind: CONTROLLER_REVISIONS.kind,
      metadata: { namespace, name, labels: { [VM_UID_LABEL]: uid }, ownerReferences: [ownerReferenceTo(vm)] },
      data: { spec: vm.spec },
      revision: generationOf(vm),
    })
  } catch (error) {
    // The same generation was started before.
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
  await dropRevisions(store, namespace, `${VM_UID_LABEL}=${uid}`, name)
}

async function dropRevisions(
  store: Store,
  namespace: string,
  labelSelector: string,
  keep: string,
): Promise<void> {
  const { items } = await store.list(CONTROLLER_REVISIONS, { namespace, labelSelector })
  for (const { metadata } of items) {
    if (metadata.name === keep) continue
    try {
      await store.delete(CONTROLLER_REVISIONS, namespace, metadata.name)
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error
    }
  }
}

/**
 * Fields in which the VM's template differs from what its VMI was started with. No live change of a running
 * guest is made from a template yet, so each of them waits for a restart.
 */
export async function findStaleFields(store: Store, vm: Vm, vmi: Vmi): Promise<string[]> {
  const startedWith = vmi.metadata.annotations?.[VM_GENERATION_ANNOTATION]
  if (startedWith === undefined || Number(startedWith) === generationOf(vm)) return []
  const name = vmi.status?.virtualMachineRevisionName ?? revisionName(vm.metadata.uid, Number(startedWith))
  const revision = await store.get(CONTROLLER_REVISIONS, vm.metadata.namespace, name)
  const before = templateSpecIn(revision?.data)
  return before ? differingFields(before, { ...vm.spec.template.spec }) : []
}

function templateSpecIn(data: unknown): Record<string, unknown> | undefined {
  const spec = isRecord(data) ? data['spec'] : undefined
  const template = isRecord(spec) ? spec['template'] : undefined
  const inner = isRecord(template) ? template['spec'] : undefined
  return isRecord(inner) ? inner : undefined
}

/** Paths of the members that differ, one level into `domain`. */
export function differingFields(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  at = 'spec.template.spec',
): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return names.flatMap((name) => {
    const [left, right] = [before[name], after[name]]
    if (isSameJson(left, right)) return []
    const path = `${at}.${name}`
    return name === 'domain' && isRecord(left) && isRecord(right)
      ? differingFields(left, right, path)
      : [path]
  })
}
