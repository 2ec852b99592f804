/** What a VM is given. Contract: MUT-VM-030 … 034. */
import type { Vm } from '../../kinds/kubevirt.ts'
import type { ReviewInput } from '../review-input.ts'
import { usesPcie, withPciTopology } from '../vmi/mutate.ts'
import { completeMachine, completeSkeleton } from '../vmi/spec-defaults.ts'

/** The template gets the members that are always there; one that is missing is left to the rules. */
export function completeVmSkeleton({ object }: ReviewInput<Vm>): void {
  const { template } = object.spec
  if (!object.metadata.deletionTimestamp && template) {
    object.spec.template = {
      ...template,
      metadata: template.metadata ?? {},
      spec: completeSkeleton(template.spec),
    }
  }
}

/** A guest keeps its identity over restarts: it is given once. Contract: MUT-VM-030. */
export function giveFirmwareIdentity(input: ReviewInput<Vm>): void {
  if (isLeftAlone(input.object)) return
  const { domain } = input.object.spec.template.spec
  const firmware = (domain.firmware ??= {})
  firmware.uuid ||= input.newUid()
  firmware.serial ||= input.newUid()
}

/** Architecture and machine type stay what they were when the VM was made. Contract: MUT-VM-032, 033. */
export function completeTemplate({ object, config }: ReviewInput<Vm>): void {
  if (isLeftAlone(object)) return
  const { spec } = object.spec.template
  spec.architecture ||= config.defaultArchitecture
  completeMachine(spec, config)
}

/** So does the layout of the PCI bus. Contract: MUT-VM-034. */
export function notePciTopology({ object }: ReviewInput<Vm>): void {
  if (isLeftAlone(object)) return
  const { template } = object.spec
  if (!usesPcie(template.spec)) return
  template.metadata = { ...template.metadata, annotations: withPciTopology(template.metadata?.annotations) }
}

/**
 * What is being deleted is left as it is (contract: MUT-VM-004, VM-004), and what has no template is left to the
 * rules.
 */
export function isLeftAlone({ metadata, spec }: Vm): boolean {
  return metadata.deletionTimestamp !== undefined || !spec.template
}
