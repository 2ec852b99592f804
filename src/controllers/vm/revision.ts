import { hasReason } from '../../lib/errors.ts'
import { isRecord, isSameJson } from '../../lib/json.ts'
import { apiVersionOf } from '../../kinds/kind.ts'
import type { Vm, Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { CONTROLLER_REVISIONS, VMS } from '../../kinds/table.ts'
import type { Store } from '../../store/store.ts'
import { ownerReferenceTo } from '../owner-reference.ts'
import { withoutLiveVolumes } from './live-volumes.ts'
import { generationOf, VM_GENERATION_ANNOTATION } from './template.ts'

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
      metadata: {
        namespace,
        name,
        labels: { [VM_UID_LABEL]: uid },
        ownerReferences: [ownerReferenceTo(VMS, vm)],
      },
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
 * Fields in which the VM's template differs from what its VMI was started with, and which wait for a restart. With
 * `plugsVolumes`, volumes that can come and go while the guest runs are not among them.
 */
export async function findStaleFields(
  store: Store,
  vm: Vm,
  vmi: Vmi,
  plugsVolumes = true,
): Promise<string[]> {
  const startedWith = vmi.metadata.annotations?.[VM_GENERATION_ANNOTATION]
  if (startedWith === undefined || Number(startedWith) === generationOf(vm)) return []
  const name = vmi.status?.virtualMachineRevisionName ?? revisionName(vm.metadata.uid, Number(startedWith))
  const revision = await store.get(CONTROLLER_REVISIONS, vm.metadata.namespace, name)
  const spec = isRecord(revision?.data) ? revision.data['spec'] : undefined
  const before = templateSpecIn(spec)
  if (!isRecord(spec) || !before) return []
  const [then, now] = comparable(before, vm.spec.template.spec, plugsVolumes)
  return [...staleReferences(spec, vm.spec), ...differingFields({ ...then }, { ...now })]
}

function comparable(before: Record<string, unknown>, now: VmiSpec, plugsVolumes: boolean): [object, object] {
  // A revision holds the spec of a VM, as admission had let it pass.
  return plugsVolumes ? withoutLiveVolumes(before as unknown as VmiSpec, now) : [before, now]
}

/** What the guest was made with besides its template. */
function staleReferences(before: Record<string, unknown>, now: Vm['spec']): string[] {
  const fields = ['instancetype', 'preference'] as const
  return fields.filter((field) => !isSameJson(before[field], now[field])).map((field) => `spec.${field}`)
}

function templateSpecIn(spec: unknown): Record<string, unknown> | undefined {
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
