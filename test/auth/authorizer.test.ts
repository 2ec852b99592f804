import { expect, test } from 'vitest'
import type { ResourceAttributes, User } from '../../src/auth/access.ts'
import { authorize } from '../../src/auth/denied.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { serviceAccountUser } from '../../src/kinds/service-account.ts'
import {
  clusterRole,
  clusterRoleBinding,
  fixedSource,
  groupSubject,
  READ_VMS,
  role,
  roleBinding,
  userSubject,
} from './fixtures.ts'

const source = fixedSource(
  role('dev', 'reader', [READ_VMS]),
  clusterRole('vm-reader', [READ_VMS]),
  clusterRole('prober', [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }]),
  roleBinding('dev', 'janes', 'Role/reader', [userSubject('jane')]),
  roleBinding('dev', 'robots', 'ClusterRole/vm-reader', [{ kind: 'ServiceAccount', name: 'robot' }]),
  roleBinding('dev', 'probes', 'ClusterRole/prober', [userSubject('jane')]),
  roleBinding('dev', 'lost', 'Role/gone', [userSubject('jane'), userSubject('lost')]),
  clusterRoleBinding('ops', 'ClusterRole/vm-reader', [groupSubject('ops')]),
  clusterRoleBinding('homeless', 'ClusterRole/vm-reader', [{ kind: 'ServiceAccount', name: 'robot' }]),
  clusterRoleBinding('probers', 'ClusterRole/prober', [userSubject('prober')]),
)
const authorizer = buildRbacAuthorizer(source)
const user = (name: string, ...groups: string[]): User => ({ name, groups })
const vms = (namespace?: string, verb = 'get'): ResourceAttributes => ({
  kind: 'resource',
  verb,
  group: 'kubevirt.io',
  version: 'v1',
  resource: 'virtualmachines',
  ...(namespace && { namespace }),
})

test.each([
  [
    'a user in the namespace of the binding',
    user('jane'),
    vms('dev'),
    'RoleBinding "janes/dev" of Role "reader" to User "jane"',
  ],
  [
    'a service account of the namespace',
    serviceAccountUser({ namespace: 'dev', name: 'robot' }),
    vms('dev'),
    'RoleBinding "robots/dev" of ClusterRole "vm-reader" to ServiceAccount "robot/dev"',
  ],
  [
    'a group everywhere',
    user('x', 'ops'),
    vms('prod'),
    'ClusterRoleBinding "ops" of ClusterRole "vm-reader" to Group "ops"',
  ],
  [
    'a group in all namespaces at once',
    user('x', 'ops'),
    vms(),
    'ClusterRoleBinding "ops" of ClusterRole "vm-reader" to Group "ops"',
  ],
])('%s may', async (_case, who, attributes, reason) => {
  expect(await authorizer.review(who, attributes)).toEqual({
    allowed: true,
    reason: `RBAC: allowed by ${reason}`,
  })
})

test.each([
  ['a user in another namespace', user('jane'), vms('prod')],
  ['a user of one namespace in all of them', user('jane'), vms()],
  ['another verb', user('x', 'ops'), vms('dev', 'delete')],
  [
    'somebody called like a service account of no namespace',
    user('system:serviceaccount::robot'),
    vms('dev'),
  ],
  ['a user called like a group', user('ops'), vms('dev')],
  [
    'a service account of another namespace',
    serviceAccountUser({ namespace: 'prod', name: 'robot' }),
    vms('dev'),
  ],
])('%s may not', async (_case, who, attributes) => {
  expect(await authorizer.review(who, attributes)).toEqual({ allowed: false, reason: '' })
})

test('paths are granted everywhere or nowhere', async () => {
  const path = { kind: 'path' as const, verb: 'get', path: '/metrics' }
  expect((await authorizer.review(user('prober'), path)).allowed).toBe(true)
  expect((await authorizer.review(user('jane'), path)).allowed).toBe(false)
})

test('a binding to a role that is gone grants nothing and is named', async () => {
  expect(await authorizer.review(user('lost'), vms('dev'))).toEqual({
    allowed: false,
    reason: 'RBAC: role.rbac.authorization.k8s.io "gone" not found',
  })
})

test('system:masters may do what no role grants', async () => {
  expect(await authorizer.review(user('root', 'system:masters'), vms('dev', 'delete'))).toEqual({
    allowed: true,
    reason: '',
  })
})

test.each([
  [
    { ...vms('prod', 'update'), name: 'a', group: 'subresources.kubevirt.io', subresource: 'start' },
    'virtualmachines.subresources.kubevirt.io "a" is forbidden: User "jane" cannot update resource "virtualmachines/start" in API group "subresources.kubevirt.io" in the namespace "prod"',
  ],
  [
    { ...vms(), resource: 'nodes', group: '' },
    'nodes is forbidden: User "jane" cannot get resource "nodes" in API group "" at the cluster scope',
  ],
  [
    { kind: 'path' as const, verb: 'get', path: '/metrics' },
    'forbidden: User "jane" cannot get path "/metrics"',
  ],
])('a refusal reads as that of kube-apiserver', async (attributes, message) => {
  await expect(authorize(authorizer, user('jane'), attributes)).rejects.toMatchObject({
    code: 403,
    reason: 'Forbidden',
    message,
  })
})

test('roles that may be outdated grant nothing', async () => {
  const stale = buildRbacAuthorizer({
    ...source,
    assertCurrent() {
      throw new Error('outdated')
    },
  })
  await expect(stale.review(user('jane'), vms('dev'))).rejects.toThrow('outdated')
})
