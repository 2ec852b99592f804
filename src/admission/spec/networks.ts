import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { duplicateValue, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, networksOf, repeatedNames, type Network } from './rule.ts'

/** A guest is on the pod network once, and one network is the default. Contract: VMI-NET-001, 002, 003. */
export function defaultNetworkIsOne(spec: VmiSpec, at: FieldPath): Cause[] {
  const pods = networksOf(spec).filter((network) => network.pod).length
  const defaults = networksOf(spec).filter((network) => network.multus?.default).length
  const causes: Cause[] = []
  if (pods > 1) causes.push(duplicateValue(at.child('interfaces'), 'only one network may be the pod network'))
  if (defaults > 1)
    causes.push(invalidValue(at.child('networks'), 'only one multus network may be the default'))
  if (pods > 0 && defaults > 0)
    causes.push(invalidValue(at.child('networks'), 'use a pod network or a multus default, not both'))
  return causes
}

function countSources({ pod, multus, resourceClaim }: Network): number {
  return [pod, multus, resourceClaim].filter(Boolean).length
}

/** A network has one source. Contract: VMI-NET-004, 005. */
export function networkHasOneSource(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, network] of networksOf(spec).entries()) {
    const sources = countSources(network)
    const field = at.child('networks').index(position)
    if (sources === 0) causes.push(requiredValue(field, `say what "${network.name}" is: pod or multus`))
    else if (sources > 1) causes.push(requiredValue(field, `"${network.name}" may have one source only`))
  }
  return causes
}

/** A multus network says which one. Contract: VMI-NET-006. */
export function multusNetworkIsNamed(spec: VmiSpec, at: FieldPath): Cause[] {
  const position = networksOf(spec).findIndex(({ multus }) => multus && !multus.networkName)
  return position >= 0
    ? [requiredValue(at.child('networks').index(position), 'multus needs a networkName')]
    : []
}

/** Networks have different names. Contract: VMI-NET-017. */
export function networkNamesDiffer(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const position of repeatedNames(networksOf(spec))) {
    causes.push(
      duplicateValue(at.child('networks').index(position).child('name'), 'another network has this name'),
    )
  }
  return causes
}

/** Every network has its interface. Contract: VMI-NET-025. */
export function networkHasInterface(spec: VmiSpec, at: FieldPath): Cause[] {
  const names = new Set((devicesOf(spec).interfaces ?? []).map(({ name }) => name))
  const causes: Cause[] = []
  for (const [position, { name }] of networksOf(spec).entries()) {
    if (names.has(name)) continue
    const field = at.child('networks').index(position).child('name')
    causes.push(requiredValue(field, `no interface is named "${name}": add one to domain.devices.interfaces`))
  }
  return causes
}
