import { posix } from 'node:path'

/** Whether a path in an image is absolute, clean and not the root itself. Contract: PRIM-008. */
export function isContainerPath(path: string): boolean {
  if (path === '/') return false
  const clean = posix.normalize(`//${path}`).replace(/^\/+/, '/')
  const given = path.endsWith('/') ? path.slice(0, -1) : path
  return (clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean) === given
}
