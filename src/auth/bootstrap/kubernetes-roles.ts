/**
 * Kubernetes' own roles, over the kinds that embedded mode serves.
 * Source: "Default roles and role bindings" in "Using RBAC Authorization", and `bootstrappolicy/policy.go`.
 */
import type { ClusterRole, ClusterRoleBinding } from '../../kinds/core.ts'
import type { Draft } from '../../kinds/meta.ts'
import { AUTHENTICATED } from '../../kinds/service-account.ts'
import { MASTERS, UNAUTHENTICATED } from '../names.ts'
import {
  aggregatedRole,
  aggregateTo,
  clusterRole,
  clusterRoleBinding,
  group,
  KUBERNETES_LABELS,
  OWN,
  READ,
  rule,
} from './build.ts'

const AUTHORIZATION = 'authorization.k8s.io'
const AUTHENTICATION = 'authentication.k8s.io'

/** Paths that say that the server lives and what it is. */
const PUBLIC_PATHS = ['/healthz', '/livez', '/readyz', '/version', '/version/']
const DISCOVERY_PATHS = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*', ...PUBLIC_PATHS]

/** Objects of a namespace that editors change. */
const EDITED: readonly [group: string, resources: string[]][] = [
  ['', ['configmaps', 'events', 'persistentvolumeclaims', 'secrets', 'serviceaccounts']],
  ['apps', ['controllerrevisions']],
  ['cdi.kubevirt.io', ['datavolumes']],
  ['coordination.k8s.io', ['leases']],
  ['k8s.cni.cncf.io', ['network-attachment-definitions']],
]

/** What viewers see: no Secrets, and no roles. */
const VIEWED: readonly [group: string, resources: string[]][] = [
  ['', ['configmaps', 'events', 'limitranges', 'namespaces', 'persistentvolumeclaims']],
  ['', ['resourcequotas', 'resourcequotas/status', 'serviceaccounts']],
  ['apps', ['controllerrevisions']],
  ['cdi.kubevirt.io', ['datavolumes']],
  ['coordination.k8s.io', ['leases']],
  ['k8s.cni.cncf.io', ['network-attachment-definitions']],
]

function base(name: string, rules: ClusterRole['rules'], labels = {}): Draft<ClusterRole> {
  return clusterRole(name, rules ?? [], { ...KUBERNETES_LABELS, ...labels })
}

function bind(name: string, ...groups: string[]): Draft<ClusterRoleBinding> {
  return clusterRoleBinding(name, name, groups.map(group), KUBERNETES_LABELS)
}

/** The roles everybody is used to, and what binds them. */
export function kubernetesRoles(): (Draft<ClusterRole> | Draft<ClusterRoleBinding>)[] {
  return [
    base('cluster-admin', [rule('*', ['*'], ['*']), { verbs: ['*'], nonResourceURLs: ['*'] }]),
    base('system:discovery', [{ verbs: ['get'], nonResourceURLs: DISCOVERY_PATHS }]),
    base('system:public-info-viewer', [{ verbs: ['get'], nonResourceURLs: PUBLIC_PATHS }]),
    base('system:basic-user', [
      rule(AUTHORIZATION, ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
      rule(AUTHENTICATION, ['selfsubjectreviews'], ['create']),
    ]),
    base('system:auth-delegator', [
      rule(AUTHENTICATION, ['tokenreviews'], ['create']),
      rule(AUTHORIZATION, ['subjectaccessreviews'], ['create']),
    ]),
    bind('cluster-admin', MASTERS),
    bind('system:discovery', AUTHENTICATED),
    bind('system:public-info-viewer', AUTHENTICATED, UNAUTHENTICATED),
    bind('system:basic-user', AUTHENTICATED),
    // Each role gathers the ones below it: view goes into edit, edit into admin.
    aggregatedRole('admin', KUBERNETES_LABELS),
    aggregatedRole('edit', { ...KUBERNETES_LABELS, ...aggregateTo('admin') }),
    aggregatedRole('view', { ...KUBERNETES_LABELS, ...aggregateTo('edit') }),
    base('system:aggregate-to-admin', adminRules(), aggregateTo('admin')),
    base('system:aggregate-to-edit', editRules(), aggregateTo('edit')),
    base('system:aggregate-to-view', viewRules(), aggregateTo('view')),
  ]
}

function adminRules() {
  return [
    rule('rbac.authorization.k8s.io', ['roles', 'rolebindings'], OWN),
    rule(AUTHORIZATION, ['localsubjectaccessreviews'], ['create']),
  ]
}

function editRules() {
  return [
    ...EDITED.map(([group, resources]) => rule(group, resources, OWN)),
    rule('', ['serviceaccounts/token'], ['create']),
    rule('', ['serviceaccounts'], ['impersonate']),
  ]
}

function viewRules() {
  return VIEWED.map(([group, resources]) => rule(group, resources, READ))
}
