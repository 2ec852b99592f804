/** Discovery documents one by one, as every client understands them. Source: `metav1` of k8s.io/apimachinery. */
import type { GroupVersionResources } from './resources.ts'

const SERVERS = [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }]

/** `/api`: the versions of the core group. */
export function buildCoreVersions(served: readonly GroupVersionResources[]) {
  const versions = served.filter(({ group }) => group === '').map(({ version }) => version)
  return { kind: 'APIVersions', versions, serverAddressByClientCIDRs: SERVERS }
}

/** `/apis`: all groups but the core one. */
export function buildGroupList(served: readonly GroupVersionResources[]) {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupNames(served).map((name) => describe(name, served)),
  }
}

/** `/apis/G`: one group. */
export function buildGroup(name: string, served: readonly GroupVersionResources[]) {
  return { kind: 'APIGroup', apiVersion: 'v1', ...describe(name, served) }
}

/** The names of all groups but the core one. */
export function groupNames(served: readonly GroupVersionResources[]): string[] {
  return [...new Set(served.map(({ group }) => group))].filter((group) => group !== '')
}

function describe(name: string, served: readonly GroupVersionResources[]) {
  const versions = served
    .filter(({ group }) => group === name)
    .map(({ version }) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions, preferredVersion: versions[0], serverAddressByClientCIDRs: SERVERS }
}

/** `/api/V` and `/apis/G/V`: what one version of a group serves. */
export function buildResourceList({ group, version, resources }: GroupVersionResources) {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group ? `${group}/${version}` : version,
    resources,
  }
}
