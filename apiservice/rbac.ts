/** Roles of users and the accounts of our own parts: the same as in embedded mode. Source: contract, 8.1 to 8.3. */
import { API_SERVER_ACCOUNT, accountSubject, systemAccounts } from '../src/auth/bootstrap/accounts.ts'
import { kubevirtRoles } from '../src/auth/bootstrap/kubevirt-roles.ts'
import { SUBRESOURCE_GRANTS } from '../src/auth/bootstrap/subresource-grants.ts'
import { TRUST_CONFIGMAP } from '../src/auth/front-proxy/trust.ts'
import type { Subject } from '../src/kinds/core.ts'
import type { InstallOptions, Manifest } from './manifest.ts'

const RBAC = 'rbac.authorization.k8s.io'

/** Roles, accounts and what binds them, in the order in which they can be applied. */
export function buildRbac({ namespace, aggregateRoles }: InstallOptions): Manifest[] {
  const roles: Manifest[] = kubevirtRoles(SUBRESOURCE_GRANTS)
  return [
    ...systemAccounts(SUBRESOURCE_GRANTS, namespace),
    trustReader(namespace),
    ...(aggregateRoles ? roles : roles.map(withoutAggregation)),
  ]
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

/** Source: contract 8.2, `roleAggregationStrategy: Manual`. */
function withoutAggregation(role: Manifest): Manifest {
  const labels = Object.entries(role.metadata.labels ?? {}).filter(
    ([name]) => !name.startsWith(`${RBAC}/aggregate-to-`),
  )
  return { ...role, metadata: { ...role.metadata, labels: Object.fromEntries(labels) } }
}
