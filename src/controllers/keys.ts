/** Keys that each queue works on at the same time. */
export const WORKERS = 8

/** Namespace and name of a key that `keyOf` made of a namespaced object. */
export function splitKey(key: string): [namespace: string, name: string] {
  const slash = key.indexOf('/')
  return [key.slice(0, Math.max(slash, 0)), key.slice(slash + 1)]
}
