/** The two things that a VM may refer to, and all in which they differ. */
import type { Instancetype, Matcher, Preference } from '../kinds/instancetype.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { CLUSTER_INSTANCETYPES, CLUSTER_PREFERENCES, INSTANCETYPES, PREFERENCES } from '../kinds/table.ts'

/** Something that a VM may refer to. */
export interface Referable<T extends Instancetype | Preference = Instancetype | Preference> {
  /** The member of a VM's spec. */
  field: 'instancetype' | 'preference'
  /** The member of its status. */
  ref: 'instancetypeRef' | 'preferenceRef'
  /** In people's words. */
  noun: string
  namespaced: Kind<T>
  cluster: Kind<T>
  /** Labels on volumes that name a default. */
  nameLabel: string
  kindLabel: string
  /** Annotations on a VMI that say what it was made with. */
  annotation: string
  clusterAnnotation: string
}

/** What gives a guest its size. */
export const INSTANCETYPE: Referable<Instancetype> = {
  field: 'instancetype',
  ref: 'instancetypeRef',
  noun: 'instance type',
  namespaced: INSTANCETYPES,
  cluster: CLUSTER_INSTANCETYPES,
  nameLabel: 'instancetype.kubevirt.io/default-instancetype',
  kindLabel: 'instancetype.kubevirt.io/default-instancetype-kind',
  annotation: 'kubevirt.io/instancetype-name',
  clusterAnnotation: 'kubevirt.io/cluster-instancetype-name',
}

/** What gives a guest its manners. */
export const PREFERENCE: Referable<Preference> = {
  field: 'preference',
  ref: 'preferenceRef',
  noun: 'preference',
  namespaced: PREFERENCES,
  cluster: CLUSTER_PREFERENCES,
  nameLabel: 'instancetype.kubevirt.io/default-preference',
  kindLabel: 'instancetype.kubevirt.io/default-preference-kind',
  annotation: 'kubevirt.io/preference-name',
  clusterAnnotation: 'kubevirt.io/cluster-preference-name',
}

/**
 * The kind that a matcher means: singular or plural, in any case, the cluster's where it says nothing; `undefined`
 * where there is no such kind. Contract: admission-vm.md, 2.1.
 */
export function kindOfMatcher<T extends Instancetype | Preference>(
  { namespaced, cluster }: Referable<T>,
  { kind = '' }: Pick<Matcher, 'kind'>,
): Kind<T> | undefined {
  const word = kind.toLowerCase()
  if (word === '') return cluster
  return [cluster, namespaced].find(({ singular, plural }) => word === singular || word === plural)
}

/** Whether a VM's guest is made of more than its template. */
export function hasReferences({ spec }: Pick<Vm, 'spec'>): boolean {
  return Boolean(spec.instancetype ?? spec.preference)
}

/** Annotations on a VMI that say what it was made with. Source: the constants of `kubevirt.io/v1`. */
export function referenceAnnotations({ status }: Pick<Vm, 'status'>): Record<string, string> {
  const annotations: Record<string, string> = {}
  for (const what of [INSTANCETYPE, PREFERENCE]) {
    const { name, kind } = status?.[what.ref] ?? {}
    if (!name) continue
    annotations[kind === what.namespaced.kind ? what.annotation : what.clusterAnnotation] = name
  }
  return annotations
}

/** Something about an instance type or a preference stands in the way of using it. */
export class InstancetypeError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InstancetypeError'
  }
}
