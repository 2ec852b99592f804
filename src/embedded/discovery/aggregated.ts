/** Discovery of everything in one document. Source: "Aggregated discovery" in the Kubernetes API concepts. */
import type { ApiResource, GroupVersionResources } from './resources.ts'

/** Versions of `apidiscovery.k8s.io`; they differ in name alone. */
export const DISCOVERY_VERSIONS = ['v2', 'v2beta1'] as const

interface ResponseKind {
  group: string
  version: string
  kind: string
}

interface ResourceDiscovery {
  resource: string
  responseKind: ResponseKind
  scope: 'Cluster' | 'Namespaced'
  singularResource: string
  verbs: readonly string[]
  shortNames?: readonly string[]
  categories?: readonly string[]
  subresources?: { subresource: string; responseKind: ResponseKind; verbs: readonly string[] }[]
}

/** An `APIGroupDiscoveryList` of what is served. */
export function buildDiscovery(served: readonly GroupVersionResources[], discoveryVersion: string) {
  const groups = new Map<string, GroupVersionResources[]>()
  for (const one of served) groups.set(one.group, [...(groups.get(one.group) ?? []), one])
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${discoveryVersion}`,
    metadata: {},
    items: [...groups].map(([name, versions]) => ({
      metadata: name ? { name } : {},
      versions: versions.map((one) => ({
        version: one.version,
        freshness: 'Current',
        resources: discoverResources(one),
      })),
    })),
  }
}

function discoverResources(served: GroupVersionResources): ResourceDiscovery[] {
  const found = new Map<string, ResourceDiscovery>()
  for (const resource of served.resources) {
    const slash = resource.name.indexOf('/')
    if (slash < 0) found.set(resource.name, discoverParent(served, resource))
    else addSubresource(found, served, resource, slash)
  }
  return [...found.values()]
}

function discoverParent(served: GroupVersionResources, resource: ApiResource): ResourceDiscovery {
  const { name, singularName, namespaced, verbs, shortNames, categories } = resource
  return {
    resource: name,
    responseKind: responseKind(served, resource),
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singularName,
    verbs,
    ...(shortNames && { shortNames }),
    ...(categories && { categories }),
  }
}

function responseKind(served: GroupVersionResources, { group, version, kind }: ApiResource): ResponseKind {
  return { group: group ?? served.group, version: version ?? served.version, kind }
}

function addSubresource(
  found: Map<string, ResourceDiscovery>,
  served: GroupVersionResources,
  resource: ApiResource,
  slash: number,
): void {
  const name = resource.name.slice(0, slash)
  const parent = found.get(name) ?? placeholder(name, resource)
  found.set(name, parent)
  parent.subresources ??= []
  parent.subresources.push({
    subresource: resource.name.slice(slash + 1),
    responseKind: responseKind(served, resource),
    verbs: resource.verbs,
  })
}

/** A parent that is no resource of this group: clients drop it for its empty kind and keep its children (AD-2). */
function placeholder(name: string, { namespaced }: ApiResource): ResourceDiscovery {
  return {
    resource: name,
    responseKind: { group: '', version: '', kind: '' },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: name.replace(/s$/, ''),
    verbs: [],
  }
}
