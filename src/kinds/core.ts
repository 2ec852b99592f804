/** Kubernetes' own kinds, as far as this program reads or writes their fields. */
import type { Condition, KubeObject, NamespacedMeta } from './meta.ts'

export interface Namespace extends KubeObject {
  spec?: { finalizers?: string[] }
  status?: { phase?: 'Active' | 'Terminating'; conditions?: Condition[] }
}

export interface Secret extends KubeObject {
  metadata: NamespacedMeta
  type?: string
  /** Key → base64. */
  data?: Record<string, string>
  stringData?: Record<string, string>
  immutable?: boolean
}

export interface ConfigMap extends KubeObject {
  metadata: NamespacedMeta
  data?: Record<string, string>
  /** Key → base64. */
  binaryData?: Record<string, string>
  immutable?: boolean
}

export interface ObjectReference {
  apiVersion?: string
  kind?: string
  namespace?: string
  name?: string
  uid?: string
  resourceVersion?: string
  fieldPath?: string
}

export interface Event extends KubeObject {
  metadata: NamespacedMeta
  involvedObject: ObjectReference
  reason?: string
  message?: string
  type?: string
  count?: number
  firstTimestamp?: string | null
  lastTimestamp?: string | null
  eventTime?: string | null
  action?: string
  source?: { component?: string; host?: string }
  reportingComponent?: string
  reportingInstance?: string
}

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean; taints?: { key: string; value?: string; effect: string }[] }
  status?: {
    conditions?: Condition[]
    capacity?: Record<string, string>
    allocatable?: Record<string, string>
    addresses?: { type: string; address: string }[]
    nodeInfo?: Record<string, string>
  }
}

export interface ServiceAccount extends KubeObject {
  metadata: NamespacedMeta
  secrets?: ObjectReference[]
  imagePullSecrets?: { name?: string }[]
}

export interface PersistentVolumeClaim extends KubeObject {
  metadata: NamespacedMeta
  spec?: Record<string, unknown>
  status?: { phase?: string; accessModes?: string[]; capacity?: Record<string, string> }
}

export interface Lease extends KubeObject {
  metadata: NamespacedMeta
  spec?: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    acquireTime?: string | null
    renewTime?: string | null
    leaseTransitions?: number
  }
}

export interface ControllerRevision extends KubeObject {
  metadata: NamespacedMeta
  data?: unknown
  revision: number
}

/** What a role grants. Source: `rbac.authorization.k8s.io/v1` PolicyRule. */
export interface PolicyRule {
  verbs: string[]
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
}

export interface Role extends KubeObject {
  metadata: NamespacedMeta
  rules?: PolicyRule[] | null
}

export interface ClusterRole extends KubeObject {
  rules?: PolicyRule[] | null
  aggregationRule?: { clusterRoleSelectors?: { matchLabels?: Record<string, string> }[] }
}

/** Who a binding grants to. */
export interface Subject {
  kind: 'User' | 'Group' | 'ServiceAccount'
  name: string
  namespace?: string
  apiGroup?: string
}

export interface RoleRef {
  apiGroup: string
  kind: 'Role' | 'ClusterRole'
  name: string
}

export interface RoleBinding extends KubeObject {
  metadata: NamespacedMeta
  subjects?: Subject[]
  roleRef: RoleRef
}

export interface ClusterRoleBinding extends KubeObject {
  subjects?: Subject[]
  roleRef: RoleRef
}
