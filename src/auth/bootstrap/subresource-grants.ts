/** Who may use which subresource. Source: contract, section 8.1, with the additions named there. */
import type { PolicyRule } from '../../kinds/core.ts'
import { rule } from './build.ts'

/** The roles that rights on subresources come with. */
export type SubresourceRole =
  | 'admin'
  | 'edit'
  | 'view'
  | 'migrate'
  | 'default'
  | 'vsock'
  | 'backup'
  | 'controller'

/** A right on one subresource, or on a resource that is none. */
export interface SubresourceGrant {
  resource: string
  subresource?: string
  verbs: readonly ('get' | 'list' | 'update' | 'create')[]
  roles: readonly SubresourceRole[]
}

/** The API group of the subresources. */
export const SUBRESOURCES_GROUP = 'subresources.kubevirt.io'

function grants(
  resource: string,
  verb: 'get' | 'update',
  roles: readonly SubresourceRole[],
  subresources: readonly string[],
): SubresourceGrant[] {
  return subresources.map((subresource) => ({ resource, subresource, verbs: [verb], roles }))
}

const VM = 'virtualmachines'
const VMI = 'virtualmachineinstances'
const EDITORS: readonly SubresourceRole[] = ['admin', 'edit']
const READERS: readonly SubresourceRole[] = ['admin', 'edit', 'view']

/**
 * Every subresource and who may use it. Beyond KubeVirt's own matrix: memory dumps for admins alone (security.md, B6), who
 * may remove them too, `guestexec` for admins, and `vsock`, `backup` and `redefine-checkpoint` as roles of their own,
 * bound to nobody.
 */
export const SUBRESOURCE_GRANTS: readonly SubresourceGrant[] = [
  ...grants(VM, 'update', EDITORS, ['start', 'restart', 'addvolume', 'removevolume']),
  ...grants(VM, 'update', [...EDITORS, 'controller'], ['stop']),
  // What a dump holds is what the guest's memory holds: admins only, too.
  ...grants(VM, 'update', ['admin'], ['memorydump', 'removememorydump']),
  ...grants(VM, 'update', EDITORS, ['evacuate/cancel']),
  ...grants(VM, 'update', ['migrate'], ['migrate']),
  ...grants(VM, 'get', READERS, ['expand-spec', 'objectgraph']),
  ...grants(VM, 'get', EDITORS, ['portforward']),
  { resource: 'expand-vm-spec', verbs: ['update'], roles: READERS },
  ...grants(VMI, 'get', EDITORS, ['console', 'console/log', 'vnc', 'portforward', 'usbredir']),
  // A screenshot can be taken unseen, a VNC session cannot: admins only (security.md, B6).
  ...grants(VMI, 'get', ['admin'], ['vnc/screenshot']),
  // kube-apiserver asks for the verb of the HTTP method before it calls us, which asks for `create`.
  { resource: VMI, subresource: 'guestexec', verbs: ['create', 'get'], roles: ['admin'] },
  ...grants(VMI, 'get', ['vsock'], ['vsock']),
  ...grants(VMI, 'get', READERS, ['guestosinfo', 'filesystemlist', 'userlist', 'objectgraph']),
  ...grants(VMI, 'update', EDITORS, ['pause', 'unpause']),
  ...grants(
    VMI,
    'update',
    [...EDITORS, 'controller'],
    ['freeze', 'unfreeze', 'softreboot', 'reset', 'addvolume', 'removevolume'],
  ),
  ...grants(VMI, 'update', ['backup', 'controller'], ['backup', 'redefine-checkpoint']),
  ...grants(VMI, 'update', EDITORS, ['evacuate/cancel']),
  ...grants(VMI, 'get', READERS, ['sev/fetchcertchain', 'sev/querylaunchmeasurement']),
  ...grants(VMI, 'update', [...EDITORS, 'controller'], ['sev/setupsession', 'sev/injectlaunchsecret']),
  { resource: 'version', verbs: ['get', 'list'], roles: ['default'] },
  { resource: 'guestfs', verbs: ['get', 'list'], roles: ['default'] },
]

/**
 * The rules of one role, one a set of verbs. kube-apiserver knows only the first segment of a subresource and asks for
 * that before it calls us, so `sev/setupsession` comes with `sev` (contract, section 2.5).
 */
export function subresourceRules(
  role: SubresourceRole,
  from: readonly SubresourceGrant[] = SUBRESOURCE_GRANTS,
): PolicyRule[] {
  const byVerbs = new Map<string, { verbs: readonly string[]; resources: Set<string> }>()
  for (const grant of from) {
    if (!grant.roles.includes(role)) continue
    const key = grant.verbs.join()
    const entry = byVerbs.get(key) ?? { verbs: grant.verbs, resources: new Set() }
    byVerbs.set(key, entry)
    for (const resource of spellings(grant)) entry.resources.add(resource)
  }
  return [...byVerbs.values()].map(({ verbs, resources }) =>
    rule(SUBRESOURCES_GROUP, [...resources].toSorted(), verbs),
  )
}

function spellings({ resource, subresource }: SubresourceGrant): string[] {
  if (subresource === undefined) return [resource]
  const [first] = subresource.split('/')
  return [`${resource}/${subresource}`, `${resource}/${first}`]
}
