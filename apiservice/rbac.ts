/** Roles of users and the accounts of our own parts: the same as in embedded mode. Source: contract, 8.1 to 8.3. */
import {
  accountSubject,
  API_SERVER_ACCOUNT,
  CONTROLLER_ACCOUNT,
  nodeLeaseKeeper,
  systemAccounts,
} from '../src/auth/bootstrap/accounts.ts'
import { kubevirtRoles } from '../src/auth/bootstrap/kubevirt-roles.ts'
import { SUBRESOURCE_GRANTS } from '../src/auth/bootstrap/subresource-grants.ts'
import { TRUST_CONFIGMAP } from '../src/auth/front-proxy/trust.ts'
import type { PolicyRule, Subject } from '../src/kinds/core.ts'
import {
  JOIN_TOKENS_SECRET,
  REGISTRATIONS,
  TLS_SECRETS,
  TRUST_CONFIGMAP_NAME,
} from '../src/kinds/installation.ts'
import type { InstallOptions, Manifest } from './manifest.ts'

const RBAC = 'rbac.authorization.k8s.io'

/** Roles, accounts and what binds them, in the order in which they can be applied. */
export function buildRbac({ namespace, aggregateRoles }: InstallOptions): Manifest[] {
  const roles: Manifest[] = kubevirtRoles(SUBRESOURCE_GRANTS)
  return [
    ...systemAccounts(SUBRESOURCE_GRANTS, namespace),
    trustReader(namespace),
    ...certificateRoles(namespace),
    ...(aggregateRoles ? roles : roles.map(withoutAggregation)),
  ]
}

/** What controllers with `--own-nodes` need besides. */
export function buildNodeLeaseRbac({ namespace }: InstallOptions): Manifest[] {
  return nodeLeaseKeeper(namespace)
}

interface RoleBinding extends Manifest {
  roleRef: { apiGroup: string; kind: string; name: string }
  subjects: Subject[]
}

/** Lets the API server read the one ConfigMap that says whom to trust; every cluster has the role. */
function trustReader(namespace: string): RoleBinding {
  const { name } = API_SERVER_ACCOUNT
  return {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata: {
      name: `${name}-authentication-reader`,
      namespace: TRUST_CONFIGMAP.namespace,
      labels: { 'kubevirt.io': '' },
    },
    roleRef: { apiGroup: RBAC, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
    subjects: [accountSubject({ namespace, name })],
  }
}

interface RoleManifest extends Manifest {
  rules: PolicyRule[]
}

const LOOK = ['get', 'list', 'watch']

/** The objects by which certificates are kept, each by its name; to make one cannot be granted by name. */
function certificateRoles(namespace: string): (RoleManifest | RoleBinding)[] {
  const { serving, apiserver } = TLS_SECRETS
  const secrets = [...Object.values(TLS_SECRETS), JOIN_TOKENS_SECRET]
  const registrations = `${CONTROLLER_ACCOUNT.name}-registrations`
  const admission = 'admissionregistration.k8s.io'
  const { apiServices, mutating, validating } = REGISTRATIONS
  return [
    ...bound(API_SERVER_ACCOUNT, namespace, [rule('', 'secrets', LOOK, [serving, apiserver])]),
    ...bound(CONTROLLER_ACCOUNT, namespace, [
      rule('', 'secrets', [...LOOK, 'update'], secrets),
      rule('', 'configmaps', [...LOOK, 'update'], [TRUST_CONFIGMAP_NAME]),
      rule('', 'secrets', ['create']),
      rule('', 'configmaps', ['create']),
    ]),
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRole',
      metadata: { name: registrations, labels: { 'kubevirt.io': '' } },
      rules: [
        rule('apiregistration.k8s.io', 'apiservices', [...LOOK, 'patch'], apiServices),
        rule(admission, 'mutatingwebhookconfigurations', [...LOOK, 'patch'], mutating),
        rule(admission, 'validatingwebhookconfigurations', [...LOOK, 'patch'], validating),
      ],
    },
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: registrations, labels: { 'kubevirt.io': '' } },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: registrations },
      subjects: [accountSubject({ namespace, name: CONTROLLER_ACCOUNT.name })],
    },
  ]
}

function rule(
  group: string,
  resource: string,
  verbs: readonly string[],
  names?: readonly string[],
): PolicyRule {
  return {
    apiGroups: [group],
    resources: [resource],
    verbs: [...verbs],
    ...(names && { resourceNames: [...names] }),
  }
}

/** A Role for one of our accounts in its own namespace, and its binding. */
function bound(
  { name }: { name: string },
  namespace: string,
  rules: PolicyRule[],
): (RoleManifest | RoleBinding)[] {
  const metadata = { name: `${name}-certificates`, namespace, labels: { 'kubevirt.io': '' } }
  const subjects = [accountSubject({ namespace, name })]
  const roleRef = { apiGroup: RBAC, kind: 'Role', name: metadata.name }
  return [
    { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata, rules },
    { apiVersion: `${RBAC}/v1`, kind: 'RoleBinding', metadata, roleRef, subjects },
  ]
}

/** Source: contract 8.2, `roleAggregationStrategy: Manual`. */
function withoutAggregation(role: Manifest): Manifest {
  const labels = Object.entries(role.metadata.labels ?? {}).filter(
    ([name]) => !name.startsWith(`${RBAC}/aggregate-to-`),
  )
  return { ...role, metadata: { ...role.metadata, labels: Object.fromEntries(labels) } }
}
