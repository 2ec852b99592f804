/** What quotas count of each object: a pure function of the object, so that any two who ask get the same. */
import { refusedKind, type Kind } from '../kinds/kind.ts'
import type { PersistentVolumeClaim } from '../kinds/core.ts'
import { isFinal, type Vmi } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import { EVACUATION_ANNOTATION } from '../kinds/migration.ts'
import { PVCS, RESOURCE_QUOTAS, VMIMS, VMIS, VMS } from '../kinds/table.ts'
import { ONE, type Amounts } from './amounts.ts'
import { claimCharges } from './claims.ts'
import { guestCharges } from './guest.ts'

/** What is counted, and how. */
export interface ChargeRules {
  /** Whether objects and storage count, or guests' compute alone: kube-apiserver counts the former by itself. */
  countsObjects: boolean
  /** The class of claims that name none. */
  defaultStorageClass?: string
}

/** A kind as quotas name it: `virtualmachines.kubevirt.io`, `secrets`. */
export function resourceName(kind: Pick<Kind, 'group' | 'plural'>): string {
  const { group, kind: plural } = refusedKind(kind)
  return group ? `${plural}.${group}` : plural
}

const VMI_RESOURCE = resourceName(VMIS)
const VM_RESOURCE = resourceName(VMS)
const VMIM_RESOURCE = resourceName(VMIMS)
const CLAIM_RESOURCE = resourceName(PVCS)

/** Kinds that are counted by their bare name, too: those that quotas knew before there was `count/`. */
const BY_BARE_NAME = new Set(['configmaps', 'persistentvolumeclaims', 'secrets'])
BY_BARE_NAME.add(resourceName(RESOURCE_QUOTAS))

/** Whether what is counted of the kind may change while the object stands. */
export function isPriced(resource: string): boolean {
  return [VMI_RESOURCE, VM_RESOURCE, CLAIM_RESOURCE, VMIM_RESOURCE].includes(resource)
}

/**
 * What an object takes, by the names that quotas have for it. A VM is one object and no more: its VMI is what takes
 * CPU and memory, until it has ended. A VMI that moves is charged once, as it stands; a migration that empties a node
 * is not counted at all, so that no quota can keep a node from being emptied.
 */
export function chargesOf(resource: string, object: KubeObject, rules: ChargeRules): Amounts {
  const charges = new Map<string, bigint>()
  if (rules.countsObjects && !isEvacuation(resource, object)) {
    charges.set(`count/${resource}`, ONE)
    if (BY_BARE_NAME.has(resource)) charges.set(resource, ONE)
  }
  for (const [name, amount] of contentsOf(resource, object, rules)) charges.set(name, amount)
  return charges
}

function contentsOf(resource: string, object: KubeObject, rules: ChargeRules): Amounts {
  // What is stored under a kind has its type; what is missing in it is taken for absent.
  if (resource === VMI_RESOURCE) {
    const { spec, status } = object as Vmi
    return isFinal(status?.phase) ? new Map() : guestCharges(spec ?? {})
  }
  if (resource === CLAIM_RESOURCE && rules.countsObjects) {
    return claimCharges(object as PersistentVolumeClaim, rules.defaultStorageClass)
  }
  return new Map()
}

function isEvacuation(resource: string, { metadata }: KubeObject): boolean {
  return resource === VMIM_RESOURCE && metadata.annotations?.[EVACUATION_ANNOTATION] !== undefined
}

/** The kinds that have to be looked at for amounts of this name, as quotas name them. */
export function resourceCounted(name: string): string {
  if (name.startsWith('count/')) return name.slice('count/'.length)
  if (BY_BARE_NAME.has(name)) return name
  return /(?:^|\/)(?:requests\.storage|persistentvolumeclaims)$/.test(name) ? CLAIM_RESOURCE : VMI_RESOURCE
}
