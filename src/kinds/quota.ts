/** Kubernetes' own kinds that bound what a namespace may take. Source: ResourceQuota and LimitRange of `v1`. */
import type { QuantityText } from '../lib/quantity.ts'
import type { KubeObject, NamespacedMeta } from './meta.ts'

/** Amounts by the name of a resource, such as `requests.cpu`. */
export type ResourceList = Record<string, QuantityText>

/** One condition on what a quota counts. */
export interface ScopeRequirement {
  scopeName: string
  operator: string
  values?: string[]
}

/** How much of each resource a namespace may take, and takes. */
export interface ResourceQuota extends KubeObject {
  metadata: NamespacedMeta
  spec?: {
    hard?: ResourceList
    scopes?: string[]
    scopeSelector?: { matchExpressions?: ScopeRequirement[] }
  }
  status?: { hard?: ResourceList; used?: ResourceList }
}

/** Bounds and defaults for what one thing of this type may ask for. */
export interface LimitRangeItem {
  /** `Container` and `Pod` speak of guests here, `PersistentVolumeClaim` of claims. */
  type: string
  max?: ResourceList
  min?: ResourceList
  /** Limits of what says none. */
  default?: ResourceList
  /** Requests of what says none. */
  defaultRequest?: ResourceList
  maxLimitRequestRatio?: ResourceList
}

/** What single things in a namespace may ask for. */
export interface LimitRange extends KubeObject {
  metadata: NamespacedMeta
  spec?: { limits?: LimitRangeItem[] }
}
