import type { KubeObject } from './meta.ts'

/** One column of `kubectl get`. Source: `additionalPrinterColumns` of a CustomResourceDefinition. */
export interface Column {
  name: string
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  /** JSONPath into the object, such as `.status.phase` or `.status.conditions[?(@.type=='Ready')].status`. */
  jsonPath: string
  description?: string
  /** Above 0: shown by `-o wide` only. */
  priority?: number
}

/**
 * A kind of the Kubernetes API: one row of the table in `kinds/table.ts`, from which routes, discovery,
 * validation, table output and CRDs derive.
 *
 * `T` is the type of its objects; it exists for the compiler alone.
 */
export interface Kind<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly namespaced: boolean
  /** Whether `status` is written through `/status` alone. False for VMIs, as in KubeVirt. */
  readonly hasStatus: boolean
  /** Kubernetes' own kind: takes strategic merge patches. */
  readonly builtIn: boolean
  /** Name of its schema in `openapi/`. */
  readonly schema: string
  /** Columns after NAME; `AGE` is appended by itself where none of them is a date of creation. */
  readonly columns: readonly Column[]
  /** Never present: carries `T` for the compiler. */
  readonly $object?: T
}

/** `group/version`, or `v1` for the core group. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version
}

/** Group and plural, as refusals of the Kubernetes API name a kind. */
export function refusedKind({ group, plural }: Pick<Kind, 'group' | 'plural'>): {
  group: string
  kind: string
} {
  return { group, kind: plural }
}

/** Group and singular, as refusals of the subresource API name a kind (contract: 3.1.4). */
export function refusedSubject({ group, singular }: Pick<Kind, 'group' | 'singular'>): {
  group: string
  kind: string
} {
  return { group, kind: singular }
}
