/** Names of definitions that more than one source refers to. */
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'

export const OBJECT_META = `${META}.ObjectMeta`
export const TIME = `${META}.Time`
export const MICRO_TIME = `${META}.MicroTime`
export const DURATION = `${META}.Duration`
export const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity'
export const INT_OR_STRING = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString'

/** A type of `meta/v1`. */
export function metaName(type: string): string {
  return `${META}.${type}`
}

/** A type of Kubernetes' group with this first segment, such as `core` or `rbac`. */
export function builtInName(group: string, version: string, type: string): string {
  return `io.k8s.api.${group}.${version}.${type}`
}
