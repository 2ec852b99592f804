import { expect, test } from 'vitest'
import { buildRbacAdmission } from '../../src/auth/rbac/admission.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { findEscalation } from '../../src/auth/rbac/escalation.ts'
import type { PolicyRule } from '../../src/kinds/core.ts'
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  CONFIGMAPS,
  ROLE_BINDINGS,
  ROLES,
} from '../../src/kinds/table.ts'
import {
  clusterRole,
  clusterRoleBinding,
  fixedSource,
  READ_VMS,
  role,
  roleBinding,
  userSubject,
} from './fixtures.ts'

const RBAC = 'rbac.authorization.k8s.io'
const writeVms: PolicyRule = { ...READ_VMS, verbs: ['get', 'delete'] }
const source = fixedSource(
  role('dev', 'reader', [READ_VMS]),
  role('dev', 'writer', [writeVms]),
  clusterRole('everything', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]),
  clusterRole('granter', [
    { verbs: ['bind'], apiGroups: [RBAC], resources: ['clusterroles'], resourceNames: ['everything'] },
    { verbs: ['escalate'], apiGroups: [RBAC], resources: ['roles'] },
  ]),
  roleBinding('dev', 'janes', 'Role/reader', [userSubject('jane')]),
  roleBinding('dev', 'granters', 'ClusterRole/granter', [userSubject('granter')]),
)
const admit = buildRbacAdmission(source, buildRbacAuthorizer(source))
const jane = { name: 'jane', groups: ['system:authenticated'] }
const granter = { name: 'granter', groups: [] }
const root = { name: 'root', groups: ['system:masters'] }
const someone = [userSubject('x')]

test.each([
  ['a role with no more than one holds', jane, ROLES, role('dev', 'a', [READ_VMS])],
  [
    'a role with one of the verbs one holds',
    jane,
    ROLES,
    role('dev', 'a', [{ ...READ_VMS, verbs: ['get'] }]),
  ],
  ['a role narrowed to a name', jane, ROLES, role('dev', 'a', [{ ...READ_VMS, resourceNames: ['x'] }])],
  ['a binding to a role one holds', jane, ROLE_BINDINGS, roleBinding('dev', 'a', 'Role/reader', someone)],
  ['any role, by the verb escalate', granter, ROLES, role('dev', 'a', [writeVms])],
  [
    'a role one does not hold, by the verb bind',
    granter,
    ROLE_BINDINGS,
    roleBinding('dev', 'a', 'ClusterRole/everything', someone),
  ],
  ['anything, by system:masters', root, CLUSTER_ROLES, clusterRole('a', [writeVms])],
])('granted: %s', async (_case, user, kind, object) => {
  await expect(admit(user, kind, object)).resolves.toBeUndefined()
})

test.each([
  ['a role with a verb one does not hold', jane, ROLES, role('dev', 'a', [writeVms])],
  ['a role in another namespace', jane, ROLES, role('prod', 'a', [READ_VMS])],
  ['a role everywhere', jane, CLUSTER_ROLES, clusterRole('a', [READ_VMS])],
  ['a role with everything', jane, ROLES, role('dev', 'a', [{ ...READ_VMS, resources: ['*'] }])],
  [
    'a binding to a role one does not hold',
    jane,
    ROLE_BINDINGS,
    roleBinding('dev', 'a', 'Role/writer', someone),
  ],
  [
    'a binding of a namespaced right to everywhere',
    granter,
    CLUSTER_ROLE_BINDINGS,
    clusterRoleBinding('a', 'ClusterRole/everything', someone),
  ],
  [
    'an aggregating role',
    jane,
    CLUSTER_ROLES,
    { ...clusterRole('a', []), aggregationRule: { clusterRoleSelectors: [{}] } },
  ],
])('refused: %s', async (_case, user, kind, object) => {
  await expect(admit(user, kind, object)).rejects.toMatchObject({ code: 403 })
})

test('the refusal names what is missing, and only that', async () => {
  await expect(admit(jane, ROLES, role('dev', 'a', [writeVms]))).rejects.toThrow(
    'roles.rbac.authorization.k8s.io "a" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
      '{APIGroups:["kubevirt.io"], Resources:["virtualmachines"], Verbs:["delete"]}',
  )
})

test('a change that grants nothing is admitted, one that does is not', async () => {
  const before = role('dev', 'a', [writeVms])
  const labelled = { ...before, metadata: { ...before.metadata, labels: { a: 'b' } } }
  await admit(jane, ROLES, labelled, before)
  const binding = roleBinding('dev', 'a', 'Role/writer', someone)
  await admit(jane, ROLE_BINDINGS, binding, binding)
  const more = { ...binding, subjects: [...someone, userSubject('y')] }
  await expect(admit(jane, ROLE_BINDINGS, more, binding)).rejects.toMatchObject({ code: 403 })
})

test('a binding to a role that does not exist is refused as such', async () => {
  await expect(
    admit(jane, ROLE_BINDINGS, roleBinding('dev', 'a', 'Role/none', someone)),
  ).rejects.toMatchObject({ code: 404 })
})

test.each([
  ['no verbs', ROLES, role('dev', 'a', [{ ...READ_VMS, verbs: [] }]), 'rules[0].verbs'],
  ['no groups', ROLES, role('dev', 'a', [{ verbs: ['get'], resources: ['x'] }]), 'rules[0].apiGroups'],
  [
    'paths in a namespace',
    ROLES,
    role('dev', 'a', [{ verbs: ['get'], nonResourceURLs: ['/x'] }]),
    'rules[0].nonResourceURLs',
  ],
  [
    'a Role bound everywhere',
    CLUSTER_ROLE_BINDINGS,
    clusterRoleBinding('a', 'Role/reader', someone),
    'roleRef.kind',
  ],
  [
    'a service account of no namespace',
    CLUSTER_ROLE_BINDINGS,
    clusterRoleBinding('a', 'ClusterRole/everything', [{ kind: 'ServiceAccount', name: 'x' }]),
    'subjects[0].namespace',
  ],
])('malformed: %s', async (_case, kind, object, field) => {
  await expect(admit(root, kind, object)).rejects.toMatchObject({
    code: 422,
    details: { causes: [expect.objectContaining({ field })] },
  })
})

test('the role of a binding stays', async () => {
  const before = roleBinding('dev', 'a', 'Role/reader', someone)
  const after = roleBinding('dev', 'a', 'Role/writer', someone)
  await expect(admit(root, ROLE_BINDINGS, after, before)).rejects.toThrow('cannot change roleRef')
})

test('other kinds pass', async () => {
  await expect(
    admit(jane, CONFIGMAPS, { ...role('dev', 'a', []), kind: 'ConfigMap' }),
  ).resolves.toBeUndefined()
})

test('paths are compared with their stars', () => {
  const held = fixedSource(
    clusterRole('p', [{ verbs: ['get'], nonResourceURLs: ['/a/*'] }]),
    clusterRoleBinding('p', 'ClusterRole/p', [userSubject('jane')]),
  )
  const paths = (...nonResourceURLs: string[]) => [{ verbs: ['get'], nonResourceURLs }]
  expect(findEscalation(held, jane, '', paths('/a/b', '/a/b/*'))).toEqual([])
  expect(findEscalation(held, jane, '', paths('/a', '/*'))).toEqual([...paths('/a'), ...paths('/*')])
})
