import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import { wholeOf } from '../quantities.ts'
import type { ReviewInput } from '../review-input.ts'
import { applyRules, NETWORK_RULES, RULES_AFTER_NETWORKS, RULES_BEFORE_NETWORKS } from '../spec/index.ts'
import { graceAnnotationsAreAbsent } from '../spec/grace.ts'
import { bindingIsStillThere, discontinuedBindingsAreUnused } from '../spec/interfaces.ts'
import { devicesOf } from '../spec/rule.ts'
import { architectureIsKnown } from './architecture.ts'
import { hypervIsConsistent } from './hyperv.ts'
import { annotationsAreAllowed, labelsAreFree, RESERVED_LABELS } from './metadata.ts'

const SPEC = new FieldPath('spec')
const HIDDEN_PATHS = ['/var/run/kubevirt', '/var/run/libvirt']

/** All that is asked of a new VMI. Contract: admission-vmi.md, section 1. */
export function newVmiIsSound({ object, config, isKubeVirt }: ReviewInput<Vmi>): Cause[] {
  const { spec, metadata } = object
  const networkCauses = applyRules(NETWORK_RULES, spec, SPEC, config)
  return [
    ...discontinuedBindingsAreUnused(spec, config),
    ...bindingIsStillThere(spec, SPEC),
    // Network causes are told twice, as clients have come to see them.
    ...networkCauses,
    ...applyRules(RULES_BEFORE_NETWORKS, spec, SPEC, config),
    ...networkCauses,
    ...applyRules(RULES_AFTER_NETWORKS, spec, SPEC, config),
    ...volumesAreUsed(spec),
    ...memoryIsGiven(spec),
    ...labelsAreFree(metadata, new FieldPath('metadata'), isKubeVirt),
    ...annotationsAreAllowed(metadata, new FieldPath('metadata'), config),
    ...graceAnnotationsAreAbsent(metadata, spec, new FieldPath('metadata'), config),
    ...hypervIsConsistent(spec),
    ...architectureIsKnown(spec),
  ]
}

/** Every volume reaches the guest, by a disk or a filesystem. Contract: VMI-MAP-001 … 004. */
export function volumesAreUsed(spec: VmiSpec): Cause[] {
  const { disks = [], filesystems = [] } = devicesOf(spec)
  const causes: Cause[] = []
  for (const [position, { name, memoryDump, containerPath }] of (spec.volumes ?? []).entries()) {
    if (memoryDump) continue
    const field = SPEC.child('domain', 'volumes').index(position)
    const hasDisk = disks.some((disk) => disk.name === name)
    const hasFilesystem = filesystems.some((filesystem) => filesystem.name === name)
    if (!hasDisk && !hasFilesystem)
      causes.push(invalidValue(field.child('name'), `no disk or filesystem is named "${name}"`))
    if (!containerPath) continue
    if (hasDisk) causes.push(invalidValue(field, 'a containerPath is shared by a filesystem, not a disk'))
    if (!hasFilesystem) causes.push(invalidValue(field, 'a containerPath needs a filesystem of its name'))
    if (HIDDEN_PATHS.some((path) => containerPath.path.startsWith(path))) {
      causes.push(
        invalidValue(field.child('containerPath', 'path'), `may not lie under ${HIDDEN_PATHS.join(' or ')}`),
      )
    }
  }
  return causes
}

/** A guest is told how much memory it has. Contract: VMI-MAND-001. */
export function memoryIsGiven({ domain }: VmiSpec): Cause[] {
  if (wholeOf(domain.resources?.requests?.memory) !== 0n || domain.memory?.guest || domain.memory?.hugepages)
    return []
  return [requiredValue('', 'say how much memory the guest has, in domain.memory.guest')]
}

/** Only KubeVirt itself changes what a guest is made of. Contract: VMIU-004. */
export function specIsKept({ object, old, isKubeVirt }: ReviewInput<Vmi>): Cause[] {
  if (isKubeVirt || !old || isSameJson(object.spec, old.spec)) return []
  return [unsupportedValue('', 'the spec of a VMI cannot be changed: change its VM and restart it')]
}

/** Only KubeVirt itself changes the labels it steers by. Contract: VMIU-020. */
export function reservedLabelsAreKept({ object, old, isKubeVirt }: ReviewInput<Vmi>): Cause[] {
  if (isKubeVirt || !old) return []
  const changed = RESERVED_LABELS.filter(
    (label) => object.metadata.labels?.[label] !== old.metadata.labels?.[label],
  )
  return changed.length > 0
    ? [unsupportedValue('', `KubeVirt's own labels cannot be changed: ${changed.join(', ')}`)]
    : []
}
