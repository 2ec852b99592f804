import type { KubeObject, NamespacedMeta } from '../kinds/meta.ts'

/** A reference to an object of any kind. Source: `core/v1` TypedLocalObjectReference. */
export interface TypedReference {
  apiGroup?: string | null
  kind?: string
  name?: string
}

/** An object whose spec is of that type. */
export interface SpecOf<T> extends KubeObject {
  metadata: NamespacedMeta
  spec: T
}
