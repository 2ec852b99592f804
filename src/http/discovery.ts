/** Discovery of the subresource group, read from the subresources. Source: contract 1.4, 1.5, 1.8. */
import type { Subresource } from '../subresources/subresource.ts'
import { GROUP, VERSIONS } from './group.ts'
import { resourceNameOf } from './subresource-path.ts'

interface GroupVersion {
  groupVersion: string
  version: string
}

/** `metav1.APIGroup`. */
export interface ApiGroup {
  kind: 'APIGroup'
  apiVersion: 'v1'
  name: string
  versions: GroupVersion[]
  preferredVersion: GroupVersion
  serverAddressByClientCIDRs?: { clientCIDR: string; serverAddress: string }[]
}

/** One line of a `metav1.APIResourceList`. */
export interface ApiResource {
  name: string
  singularName: string
  namespaced: boolean
  group?: string
  version?: string
  kind: string
  verbs: string[]
}

/** `metav1.APIResourceList`. */
export interface ApiResourceList {
  kind: 'APIResourceList'
  apiVersion: 'v1'
  groupVersion: string
  resources: ApiResource[]
}

interface ResponseKind {
  group: string
  version: string
  kind: string
}

/** One resource of an `APIGroupDiscovery`, with its subresources. */
export interface DiscoveredResource {
  resource: string
  responseKind: ResponseKind
  scope: 'Namespaced' | 'Cluster'
  singularResource: string
  verbs: string[]
  subresources?: { subresource: string; responseKind: ResponseKind; verbs: string[] }[]
}

/** `apidiscovery.k8s.io` APIGroupDiscovery: one item of an aggregated list. */
export interface ApiGroupDiscovery {
  metadata: { name: string }
  versions: { version: string; freshness: 'Current'; resources: DiscoveredResource[] }[]
}

/** What one version of the group serves: the form in which others merge it into their own discovery. */
export interface GroupVersionResources {
  group: string
  version: string
  resources: ApiResource[]
}

/** All that a group says of itself. */
export interface GroupDiscovery {
  group: ApiGroup
  /** By version. */
  resourceLists: Record<string, ApiResourceList>
  aggregated: ApiGroupDiscovery
}

/** The documents of discovery, for a server that has no other group. */
export function buildSubresourceDiscovery(subresources: readonly Subresource[]): GroupDiscovery {
  const versions = VERSIONS.map(groupVersion)
  return {
    group: {
      kind: 'APIGroup',
      apiVersion: 'v1',
      name: GROUP,
      versions,
      preferredVersion: groupVersion(VERSIONS[0]),
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
    },
    resourceLists: Object.fromEntries(VERSIONS.map((version) => [version, listOf(version, subresources)])),
    aggregated: {
      metadata: { name: GROUP },
      versions: VERSIONS.map((version) => ({
        version,
        freshness: 'Current',
        resources: discoveredResources(version, subresources),
      })),
    },
  }
}

function groupVersion(version: string): GroupVersion {
  return { groupVersion: `${GROUP}/${version}`, version }
}

/** The lines of discovery, version by version, for a server that has groups of its own besides. */
export function listSubresources(subresources: readonly Subresource[]): GroupVersionResources[] {
  return VERSIONS.map((version) => ({ group: GROUP, version, resources: resourcesOf(version, subresources) }))
}

function resourcesOf(version: string, subresources: readonly Subresource[]): ApiResource[] {
  return subresources.map((subresource) => ({
    name: resourceNameOf(subresource),
    singularName: subresource.resource ? '' : subresource.name,
    namespaced: true,
    ...kindOf(version, subresource),
    verbs: [subresource.verb],
  }))
}

/** The kind of what a subresource takes or gives. */
function kindOf(version: string, { kind, kindGroup }: Subresource): ResponseKind {
  return { ...(kindGroup ?? { group: GROUP, version }), kind }
}

function listOf(version: string, subresources: readonly Subresource[]): ApiResourceList {
  const resources = resourcesOf(version, subresources)
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${GROUP}/${version}`, resources }
}

/** The parents belong to another group: without a kind and verbs only their children appear (AD-2). */
function discoveredResources(version: string, subresources: readonly Subresource[]): DiscoveredResource[] {
  const ofNamespace = subresources.filter(({ resource }) => !resource)
  const parents = new Set(subresources.flatMap(({ resource }) => resource ?? []))
  return [
    ...ofNamespace.map((one) => discovered(one.name, one.name, kindOf(version, one), [one.verb])),
    ...[...parents].map((parent) => ({
      ...discovered(parent.plural, parent.singular, { group: '', version: '', kind: '' }, []),
      subresources: subresources
        .filter(({ resource }) => resource === parent)
        .map((one) => ({ subresource: one.name, responseKind: kindOf(version, one), verbs: [one.verb] })),
    })),
  ]
}

function discovered(
  resource: string,
  singularResource: string,
  responseKind: ResponseKind,
  verbs: string[],
): DiscoveredResource {
  return { resource, responseKind, scope: 'Namespaced', singularResource, verbs }
}
