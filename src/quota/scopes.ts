/** Which objects a quota is about. Source: scopes of ResourceQuota in the Kubernetes documentation. */
import type { Vm, Vmi, VmiSpec } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { ResourceQuota, ScopeRequirement } from '../kinds/quota.ts'
import { PVCS, VMIS, VMS } from '../kinds/table.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import { readAmounts } from './amounts.ts'
import { resourceName } from './charges.ts'

/** What scopes ask of an object, by their names; a text for scopes that have values. */
type ScopeFacts = Partial<Record<string, boolean | string>>

/** Whether the quota counts this object at all. One with scopes is about guests and claims alone. */
export function isInScope({ spec }: ResourceQuota, resource: string, object: KubeObject): boolean {
  const requirements = requirementsOf(spec)
  if (requirements.length === 0) return true
  const facts = factsOf(resource, object)
  return facts !== undefined && requirements.every((requirement) => holds(requirement, facts))
}

/** All conditions of a quota: a scope by itself asks that it is there. */
export function requirementsOf(spec: ResourceQuota['spec']): ScopeRequirement[] {
  const { scopes = [], scopeSelector } = spec ?? {}
  const named = scopes.map((scopeName) => ({ scopeName, operator: 'Exists' }))
  return [...named, ...(scopeSelector?.matchExpressions ?? [])]
}

function holds({ scopeName, operator, values = [] }: ScopeRequirement, facts: ScopeFacts): boolean {
  const fact = facts[scopeName]
  const isThere = Boolean(fact)
  switch (operator) {
    case 'Exists':
      return isThere
    case 'DoesNotExist':
      return !isThere
    case 'In':
      return typeof fact === 'string' && isThere && values.includes(fact)
    case 'NotIn':
      return !isThere || (typeof fact === 'string' && !values.includes(fact))
    default:
      return false
  }
}

function factsOf(resource: string, object: KubeObject): ScopeFacts | undefined {
  // What is stored under a kind has its type; what is missing in it is taken for absent.
  if (resource === resourceName(VMIS)) return guestFacts((object as Vmi).spec)
  if (resource === resourceName(VMS)) return guestFacts((object as Vm).spec?.template?.spec)
  if (resource !== resourceName(PVCS)) return undefined
  const { spec } = object as KubeObject & { spec?: JsonRecord }
  const name = spec?.['volumeAttributesClassName']
  return { VolumeAttributesClass: typeof name === 'string' ? name : '' }
}

/** A guest has no deadline, so it never is `Terminating`. */
function guestFacts(spec: VmiSpec | undefined): ScopeFacts {
  const isBestEffort = !asksForAnything(spec)
  return {
    PriorityClass: spec?.priorityClassName ?? '',
    BestEffort: isBestEffort,
    NotBestEffort: !isBestEffort,
    Terminating: false,
    NotTerminating: true,
    CrossNamespacePodAffinity: looksElsewhere(spec?.affinity),
  }
}

/** Whether it says a request or a limit: what makes a pod more than best effort. Its size alone does not. */
function asksForAnything(spec: VmiSpec | undefined): boolean {
  const { requests, limits } = spec?.domain?.resources ?? {}
  return [requests, limits].some((list) => {
    const amounts = readAmounts(list)
    return ['cpu', 'memory'].some((name) => (amounts.get(name) ?? 0n) > 0n)
  })
}

/** Whether an affinity to other guests names namespaces. */
function looksElsewhere(affinity: unknown): boolean {
  if (Array.isArray(affinity)) return affinity.some(looksElsewhere)
  if (!isRecord(affinity)) return false
  const { namespaces, namespaceSelector } = affinity
  if ((Array.isArray(namespaces) && namespaces.length > 0) || isRecord(namespaceSelector)) return true
  return Object.values(affinity).some(looksElsewhere)
}
