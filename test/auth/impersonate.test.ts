import { expect, test } from 'vitest'
import { impersonate } from '../../src/auth/impersonate.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import type { PolicyRule } from '../../src/kinds/core.ts'
import { clusterRole, clusterRoleBinding, fixedSource, userSubject } from './fixtures.ts'

const may = (apiGroup: string, resource: string, ...resourceNames: string[]): PolicyRule => ({
  verbs: ['impersonate'],
  apiGroups: [apiGroup],
  resources: [resource],
  resourceNames,
})
const AUTHENTICATION = 'authentication.k8s.io'
const authorizer = buildRbacAuthorizer(
  fixedSource(
    clusterRole('imp', [
      may('', 'users', 'jane', 'system:anonymous'),
      may('', 'groups', 'dev', 'a,b'),
      may('', 'serviceaccounts', 'robot'),
      may(AUTHENTICATION, 'uids', 'u-1'),
      may(AUTHENTICATION, 'userextras/acme.org/scope', 'read'),
    ]),
    clusterRoleBinding('imp', 'ClusterRole/imp', [userSubject('boss')]),
  ),
)
const boss = { name: 'boss', groups: ['system:authenticated'] }

test('without such headers everybody stays who they are', async () => {
  expect(await impersonate(boss, ['Accept', '*/*'], authorizer)).toBe(boss)
})

test.each([
  [
    ['Impersonate-User', 'jane', 'impersonate-group', 'dev', 'IMPERSONATE-GROUP', 'a,b'],
    { name: 'jane', groups: ['dev', 'a,b', 'system:authenticated'] },
  ],
  [
    ['Impersonate-User', 'jane', 'Impersonate-Uid', 'u-1', 'Impersonate-Extra-Acme.org%2FScope', 'read'],
    { name: 'jane', uid: 'u-1', groups: ['system:authenticated'], extra: { 'acme.org/scope': ['read'] } },
  ],
  [
    ['Impersonate-User', 'system:serviceaccount:dev:robot'],
    {
      name: 'system:serviceaccount:dev:robot',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:dev', 'system:authenticated'],
    },
  ],
  [
    ['Impersonate-User', 'system:anonymous'],
    { name: 'system:anonymous', groups: ['system:unauthenticated'] },
  ],
])('who may becomes somebody else: %j', async (headers, user) => {
  expect(await impersonate(boss, headers, authorizer)).toEqual(user)
})

test.each([
  ['another user', ['Impersonate-User', 'root'], 'users "root" is forbidden: User "boss" cannot impersonate'],
  [
    'another group',
    ['Impersonate-User', 'jane', 'Impersonate-Group', 'system:masters'],
    'groups "system:masters"',
  ],
  ['another UID', ['Impersonate-User', 'jane', 'Impersonate-Uid', 'u-2'], 'uids.authentication.k8s.io "u-2"'],
  [
    'another extra value',
    ['Impersonate-User', 'jane', 'Impersonate-Extra-acme.org%2fscope', 'write'],
    'userextras.authentication.k8s.io "write"',
  ],
  [
    'an extra of another key',
    ['Impersonate-User', 'jane', 'Impersonate-Extra-other', 'read'],
    'cannot impersonate resource "userextras/other"',
  ],
  [
    'another service account',
    ['Impersonate-User', 'system:serviceaccount:dev:other'],
    'serviceaccounts "other"',
  ],
])('%s: 403', async (_case, headers, message) => {
  await expect(impersonate(boss, headers, authorizer)).rejects.toThrow(message)
  await expect(impersonate(boss, headers, authorizer)).rejects.toMatchObject({ code: 403 })
})

test.each([
  ['a group without a user', ['Impersonate-Group', 'dev']],
  ['an empty user', ['Impersonate-User', '']],
  ['two users', ['Impersonate-User', 'jane', 'Impersonate-User', 'root']],
  ['a header nobody knows', ['Impersonate-User', 'jane', 'Impersonate-Groups', 'dev']],
])('%s: 400', async (_case, headers) => {
  await expect(impersonate(boss, headers, authorizer)).rejects.toMatchObject({ code: 400 })
})

test('a key called __proto__ is data', async () => {
  const headers = ['Impersonate-User', 'jane', 'Impersonate-Extra-__proto__', 'polluted']
  await expect(impersonate(boss, headers, authorizer)).rejects.toThrow('userextras/__proto__')
  expect('polluted' in {}).toBe(false)
})
