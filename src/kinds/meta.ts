/** Who an object belongs to. Source: `metav1.OwnerReference`. */
export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** What every stored object carries. Times are RFC 3339 text in UTC. Source: `metav1.ObjectMeta`. */
export interface ObjectMeta {
  name: string
  /** Absent on cluster-scoped objects. */
  namespace?: string
  uid: string
  resourceVersion: string
  creationTimestamp: string
  generateName?: string
  generation?: number
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  managedFields?: unknown[]
}

/** `ObjectMeta` of an object that lives in a namespace. */
export interface NamespacedMeta extends ObjectMeta {
  namespace: string
}

/** Any object of the Kubernetes API. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** An object before the API has given it a UID, a version and a creation time. */
export type Draft<T extends KubeObject> = Omit<T, 'metadata' | 'status'> & {
  metadata: Partial<T['metadata']>
  status?: T extends { status?: infer S } ? Partial<S> : unknown
}

/** One observation on an object. A condition that does not hold is removed or set `False`, by its type. */
export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastProbeTime?: string | null
}

/** The condition of that type, if present. */
export function findCondition(conditions: Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/** Whether the condition of that type is present and `True`. */
export function isTrue(conditions: Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True'
}

/** `namespace/name`, or the bare name of a cluster-scoped object: the key of caches and queues. */
export function keyOf({ namespace, name }: { namespace?: string; name: string }): string {
  return namespace ? `${namespace}/${name}` : name
}

/** The owner that manages the object, if it has one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller)
}

/** Selects the one object of that name; in all namespaces where none is given. */
export function selectOne({ namespace, name }: { namespace?: string; name: string }): {
  namespace?: string
  fieldSelector: string
} {
  return { ...(namespace && { namespace }), fieldSelector: `metadata.name=${name}` }
}
