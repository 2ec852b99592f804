import { createHash } from 'node:crypto'
import { referenceAnnotations } from '../../instancetype/references.ts'
import { apiVersionOf } from '../../kinds/kind.ts'
import { VM_FINALIZER } from '../../kinds/kubevirt.ts'
import type { Vm, Vmi, VmiTemplate } from '../../kinds/kubevirt.ts'
import type { Draft } from '../../kinds/meta.ts'
import { VMIS, VMS } from '../../kinds/table.ts'
import { ownerReferenceTo } from '../owner-reference.ts'
import { revisionName } from './revision.ts'

/** Annotation on a VMI: the generation of the VM it was made from. */
export const VM_GENERATION_ANNOTATION = 'kubevirt.io/vm-generation'

/** Namespace of the UUIDs that firmware gets from names. Fixed for ever: guests are licensed by it. */
const FIRMWARE_NAMESPACE = '0f2f6bd4-8b41-4f4e-9a5b-6a4c5b1f7a10'

/** How a VMI is to be made. */
export interface NewVmi {
  paused: boolean
  /** The VM's template with its instance type and preference written out, where it has any. */
  template?: VmiTemplate
}

/**
 * The VMI that a VM's template describes. Default disks and networks, and the finalizer of the VMI itself, are
 * left to admission. Source: contract 7.3, CT-7 and CT-3.
 */
export function buildVmi(vm: Vm, { paused, template = vm.spec.template }: NewVmi): Draft<Vmi> {
  const { metadata, spec } = structuredClone(template)
  const { domain } = spec
  const { firmware } = domain
  const uuid = firmware?.uuid || uuidFromName(FIRMWARE_NAMESPACE, vm.metadata.name)
  const serial = firmware?.serial || uuidFromName(FIRMWARE_NAMESPACE, `${vm.metadata.name}/serial`)
  return {
    apiVersion: apiVersionOf(VMIS),
    kind: VMIS.kind,
    metadata: {
      namespace: vm.metadata.namespace,
      name: vm.metadata.name,
      labels: { ...metadata?.labels },
      annotations: {
        ...metadata?.annotations,
        ...referenceAnnotations(vm),
        [VM_GENERATION_ANNOTATION]: String(generationOf(vm)),
      },
      ownerReferences: [ownerReferenceTo(VMS, vm)],
      finalizers: [VM_FINALIZER],
    },
    spec: {
      ...spec,
      ...(spec.volumes && { volumes: spec.volumes.filter(({ memoryDump }) => !memoryDump) }),
      ...(paused && { startStrategy: 'Paused' }),
      domain: { ...domain, firmware: { ...firmware, uuid, serial } },
    },
    status: { virtualMachineRevisionName: revisionName(vm.metadata.uid, generationOf(vm)) },
  }
}

/** The VM's generation; 1 where the API has not counted. */
export function generationOf({ metadata }: Vm): number {
  return metadata.generation ?? 1
}

/** The UUID (version 5) of a name in a namespace UUID. Source: RFC 9562, 5.5. */
export function uuidFromName(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  const bytes = hash.subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
