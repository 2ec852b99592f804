/** Volumes that a running VM was asked to take or give. Contract: admission-vm.md, section 7. */
import type { Vm, Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { VMIS } from '../../kinds/table.ts'
import { addAll, invalidValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { ReviewInput } from '../review-input.ts'
import { applyRules, SPEC_RULES } from '../spec/index.ts'
import type { Disk } from '../spec/rule.ts'
import { pluggedDiskIsWellFormed } from '../vmi/hotplug-disk.ts'

type Volume = NonNullable<VmiSpec['volumes']>[number]

interface AddOptions {
  name?: string
  disk?: Disk
  volumeSource?: Pick<Volume, 'persistentVolumeClaim' | 'dataVolume'>
}
interface VolumeRequest {
  addVolumeOptions?: AddOptions
  removeVolumeOptions?: { name?: string }
}

/** What is read for the requests of a VM. */
export interface RequestFacts {
  /** The running guest. */
  vmi: Vmi | undefined
}

/** What the contract calls the field of each request. */
const FIELD = 'Status.volumeRequests'

/** Reads the VMI of a VM that has requests. */
export async function gatherRequests(
  { namespace, object }: AdmissionRequest,
  reader: ObjectReader,
): Promise<RequestFacts> {
  // The rules of VMs are asked about VMs alone.
  const { metadata, status } = object as Vm
  if (!status?.ready || requestsOf(object as Vm).length === 0) return { vmi: undefined }
  const vmi = await reader.get(VMIS, namespace, metadata.name)
  return { vmi: vmi?.metadata.deletionTimestamp ? undefined : vmi }
}

function requestsOf({ status }: Vm): VolumeRequest[] {
  return status?.volumeRequests ?? []
}

/** Requests for volumes can be met, one after the other. Contract: VM-VR-001 … 010; CRASH-016. */
export function volumeRequestsCanBeMet(input: ReviewInput<Vm, RequestFacts>): Cause[] {
  const { object, facts, config, clock } = input
  const requests = requestsOf(object)
  if (requests.length === 0 || object.metadata.deletionTimestamp || !object.spec.template) return []
  const { spec: original } = object.spec.template
  const template = structuredClone(original)
  const guest = facts.vmi && structuredClone(facts.vmi.spec)
  const seen = { added: new Set<string>(), removed: new Set<string>() }
  for (const request of requests) {
    const fault = faultOf(request, seen, original, facts.vmi)
    if (fault) return [fault]
    apply(request, template)
    if (guest) apply(request, guest)
  }
  const at = new FieldPath('spec').child('template', 'spec')
  const causes = applyRules(SPEC_RULES, template, at, config)
  if (causes.length === 0 && guest) addAll(causes, applyRules(SPEC_RULES, guest, at, config))
  if (causes.length > 0 || !facts.vmi || !isMigrating(facts.vmi, clock.now())) return causes
  return [unsupportedValue('spec', 'the VM is being migrated: ask again when that is over')]
}

function faultOf(
  { addVolumeOptions: add, removeVolumeOptions: remove }: VolumeRequest,
  { added, removed }: { added: Set<string>; removed: Set<string> },
  template: VmiSpec,
  vmi: Vmi | undefined,
): Cause | undefined {
  if (add && remove) return invalidValue(FIELD, 'a request adds or removes, not both')
  if (add) {
    const { name = '' } = add
    if (added.has(name)) return invalidValue(FIELD, `"${name}" is added twice`)
    added.add(name)
    const [fault] = pluggedDiskIsWellFormed(add.disk, FIELD)
    if (fault) return fault
    const wanted = { name, ...sourceOf(add) }
    const isOther = [template.volumes, vmi?.spec.volumes].some((volumes = []) =>
      volumes.some((volume) => volume.name === name && !isSameJson(volume, wanted)),
    )
    return isOther ? invalidValue(FIELD, `there is another volume "${name}"`) : undefined
  }
  if (!remove) return invalidValue(FIELD, 'a request says addVolumeOptions or removeVolumeOptions')
  const { name = '' } = remove
  if (removed.has(name)) return invalidValue(FIELD, `"${name}" is removed twice`)
  removed.add(name)
  return undefined
}

function sourceOf({ volumeSource }: AddOptions): Partial<Volume> {
  const { persistentVolumeClaim, dataVolume } = volumeSource ?? {}
  return persistentVolumeClaim ? { persistentVolumeClaim } : dataVolume ? { dataVolume } : {}
}

/** Does to a spec what a request asks for. */
function apply({ addVolumeOptions: add, removeVolumeOptions: remove }: VolumeRequest, spec: VmiSpec): void {
  const { devices } = spec.domain
  if (add) {
    const { name = '' } = add
    if (spec.volumes?.some((volume) => volume.name === name)) return
    const { persistentVolumeClaim: claim, dataVolume } = sourceOf(add)
    const source = claim
      ? { persistentVolumeClaim: { ...claim, hotpluggable: true } }
      : dataVolume && { dataVolume: { ...dataVolume, hotpluggable: true } }
    spec.volumes = [...(spec.volumes ?? []), { name, ...source }]
    devices.disks = [...(devices.disks ?? []), { ...add.disk, name }]
  } else if (remove) {
    spec.volumes = (spec.volumes ?? []).filter(({ name }) => name !== remove.name)
    devices.disks = (devices.disks ?? []).filter(({ name }) => name !== remove.name)
  }
}

function isMigrating({ status }: Vmi, nowMs: number): boolean {
  const { startTimestamp, endTimestamp } = status?.migrationState ?? {}
  const isPast = (time: string | undefined | null): boolean =>
    Boolean(time) && Date.parse(String(time)) <= nowMs
  return isPast(startTimestamp) && !isPast(endTimestamp)
}
