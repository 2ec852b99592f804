/** What is done to restores. Contract: admission-others.md, section 8. */
import type { Vm } from '../../kinds/kubevirt.ts'
import { VM_RESTORES, VM_SNAPSHOT_CONTENTS, VM_SNAPSHOTS, VMS } from '../../kinds/table.ts'
import { addAll, invalidValue, requiredValue } from '../../lib/causes.ts'
import { badRequest, type Cause } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { checkPathSegment } from '../../lib/names.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { AdmissionRequest } from '../admission.ts'
import { needsGate } from '../gate.ts'
import { specIsKept } from '../keep.ts'
import type { SpecOf, TypedReference } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { vmIsNamed } from '../snapshots/index.ts'

interface RestoreSpec {
  target: TypedReference
  virtualMachineSnapshotName: string
  volumeRestorePolicy?: string
  volumeOwnershipPolicy?: string
  volumeRestoreOverrides?: {
    volumeName?: string
    restoreName?: string
    labels?: object
    annotations?: object
  }[]
  patches?: string[]
}
interface Restore extends SpecOf<RestoreSpec> {
  status?: { complete?: boolean }
}
interface Snapshot extends SpecOf<object> {
  status?: { sourceUID?: string; virtualMachineSnapshotContentName?: string }
}
interface Content extends SpecOf<{ source?: { virtualMachine?: { spec?: Vm['spec'] } } }> {}

/** What a restore is judged by. */
interface Facts {
  snapshot: Snapshot | undefined
  target: Vm | undefined
  content: Content | undefined
  others: Restore[]
}

async function gatherFacts({ namespace, object }: AdmissionRequest, reader: ObjectReader): Promise<Facts> {
  // What is stored under a kind has its type.
  const { spec } = object as Restore
  const others = (await reader.list(VM_RESTORES, { namespace })).items as Restore[]
  const snapshotName = spec.virtualMachineSnapshotName
  const snapshot = (snapshotName && (await reader.get(VM_SNAPSHOTS, namespace, snapshotName))) as
    | Snapshot
    | undefined
  const target = spec.target?.name ? await reader.get(VMS, namespace, spec.target.name) : undefined
  const contentName = snapshot?.status?.virtualMachineSnapshotContentName
  const content = (contentName && (await reader.get(VM_SNAPSHOT_CONTENTS, namespace, contentName))) as
    | Content
    | undefined
  return { snapshot, target, content, others }
}

/** All that is asked of a restore. Contract: REST-004 … 016. */
function restoreIsSound({ object, facts }: ReviewInput<Restore, Facts>): Cause[] {
  const { spec } = object
  const causes = vmIsNamed(spec.target ?? {}, 'spec.target')
  if (causes.length === 0) addAll(causes, contentsAreSound(spec, facts))
  for (const other of facts.others) {
    if (other.status?.complete || !isSameJson(other.spec.target, spec.target)) continue
    causes.push(
      invalidValue(
        'spec.target',
        `it is being restored by "${other.metadata.name}": wait until that is done`,
      ),
    )
  }
  return causes
}

function contentsAreSound(spec: RestoreSpec, facts: Facts): Cause[] {
  const { virtualMachineSnapshotName: name } = spec
  if (!name || checkPathSegment(name).length > 0) {
    throw badRequest(`spec.virtualMachineSnapshotName: "${name}" can be no name of a snapshot`)
  }
  // Without its snapshot nothing is said of patches, as clients have come to see it. Contract: REST-009.
  const causes: Cause[] = []
  if (facts.snapshot) {
    addAll(causes, patchesAreAllowed(spec.patches ?? []))
    addAll(causes, backendStorageStays(facts.snapshot, facts))
  }
  addAll(causes, overridesSaySomething(spec))
  addAll(causes, policyIsKnown(spec.volumeRestorePolicy, POLICIES, 'spec.volumeRestorePolicy'))
  addAll(causes, policyIsKnown(spec.volumeOwnershipPolicy, OWNERS, 'spec.volumeOwnershipPolicy'))
  return causes
}

const PATCHABLE = ['/spec/', '/metadata/labels/', '/metadata/annotations/']

/** Contract: REST-007, REST-008. */
function patchesAreAllowed(patches: readonly string[]): Cause[] {
  const pieces = patches.flatMap((patch) => patch.replaceAll(/^[{}]+|[{}]+$/g, '').split(','))
  const causes: Cause[] = []
  for (const piece of pieces) {
    const parts = piece.split(':')
    const [name = '', value = ''] = parts.map((part) => part.trim())
    if (parts.length !== 2) causes.push(invalidValue('spec.patches', `"${piece}" is no member and its value`))
    else if (name === '"path"' && !PATCHABLE.some((path) => value.startsWith(`"${path}`))) {
      causes.push(invalidValue('spec.patches', `${value} cannot be patched: only ${PATCHABLE.join(', ')}`))
    }
  }
  return causes
}

/** State of a TPM or of EFI is not restored to another VM. Throws 400. Contract: REST-010, 011; CRASH-013. */
function backendStorageStays({ metadata, status }: Snapshot, { target, content }: Facts): Cause[] {
  const isSame = target && (!status?.sourceUID || status.sourceUID === target.metadata.uid)
  if (isSame) return []
  if (!status?.virtualMachineSnapshotContentName) {
    throw badRequest(`the snapshot "${metadata.name}" has no content yet: wait until it is ready`)
  }
  const vm = content?.spec.source?.virtualMachine
  if (!vm) throw badRequest(`the content of the snapshot "${metadata.name}" holds no VM`)
  if (!hasBackendStorage(vm.spec)) return []
  return [invalidValue('spec', 'a VM with a persistent TPM or EFI can only be restored to itself')]
}

function hasBackendStorage(spec: Vm['spec'] | undefined): boolean {
  const domain = spec?.template?.spec.domain
  const { tpm } = domain?.devices ?? {}
  const hasTpm = tpm !== undefined && tpm.enabled !== false && tpm.persistent === true
  return hasTpm || domain?.firmware?.bootloader?.efi?.persistent === true
}

/** Contract: REST-012, REST-013. */
function overridesSaySomething({ volumeRestoreOverrides = [] }: RestoreSpec): Cause[] {
  const causes: Cause[] = []
  for (const [position, override] of volumeRestoreOverrides.entries()) {
    const field = `spec.volumeRestoreOverrides[${position}]`
    const { volumeName, restoreName, labels, annotations } = override
    if (!volumeName) causes.push(requiredValue(`${field}.volumeName`, 'name the volume'))
    if (!restoreName && !labels && !annotations) {
      causes.push(requiredValue(field, 'say what is different: restoreName, labels or annotations'))
    }
  }
  return causes
}

const POLICIES = ['InPlace', 'RandomizeNames', 'PrefixTargetName']
const OWNERS = ['Vm', 'None']

/** Contract: REST-014, REST-015. */
function policyIsKnown(policy: string | undefined, known: readonly string[], field: string): Cause[] {
  return policy !== undefined && !known.includes(policy)
    ? [invalidValue(field, `"${policy}" is none of ${known.join(', ')}`)]
    : []
}

/** Contract: REST-002. */
export const createRestore: KindAdmission<Restore, Facts> = {
  gather: gatherFacts,
  mutators: [],
  stages: [needsGate('Snapshot'), restoreIsSound],
}

/** Contract: REST-018. */
export const updateRestore: KindAdmission<Restore> = { mutators: [], stages: [specIsKept] }
