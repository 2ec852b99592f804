import type { Kind } from '../../kinds/kind.ts'

/** Path of all objects of a kind; in one namespace where it is not ''. */
export function collectionPath({ group, version, plural, namespaced }: Kind, namespace: string): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const where = namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${where}/${plural}`
}

/** Path of one object, or of its subresource. `namespace` is '' for cluster-scoped kinds. */
export function objectPath(kind: Kind, namespace: string, name: string, subresource?: string): string {
  if (name === '' || (kind.namespaced && namespace === '')) {
    // Without it, the path would be that of all objects.
    throw new RangeError(`a ${kind.kind} is named by ${kind.namespaced ? 'namespace and name' : 'its name'}`)
  }
  const path = `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`
  return subresource ? `${path}/${subresource}` : path
}
