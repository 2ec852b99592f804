import type { Access } from '../../auth/route.ts'

/** A path that is no resource: RBAC grants it by `nonResourceURLs`. */
export function pathAccess(path: string): Access {
  return () => ({ kind: 'path', verb: 'get', path })
}
