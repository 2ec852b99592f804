import { expect, test } from 'vitest'
import { createKey } from '../../certs/issue.ts'
import type { User } from '../../src/auth/access.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { buildReviews } from '../../src/auth/reviews/index.ts'
import { buildServiceAccountTokens, DEFAULT_ISSUER } from '../../src/auth/service-account-tokens.ts'
import { SERVICE_ACCOUNTS } from '../../src/kinds/table.ts'
import {
  clusterRole,
  clusterRoleBinding,
  fixedSource,
  groupSubject,
  handClock,
  READ_VMS,
  role,
  roleBinding,
  userSubject,
} from './fixtures.ts'
import { openMemoryStore } from './memory-store.ts'

const paths = { verbs: ['get'], nonResourceURLs: ['/metrics'] }
const source = fixedSource(
  role('dev', 'reader', [READ_VMS]),
  roleBinding('dev', 'janes', 'Role/reader', [userSubject('jane'), groupSubject('devs')]),
  clusterRole('prober', [paths]),
  clusterRoleBinding('probers', 'ClusterRole/prober', [userSubject('jane')]),
)
const accounts = openMemoryStore()
const account = await accounts.create(SERVICE_ACCOUNTS, {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { namespace: 'dev', name: 'robot' },
})
const tokens = buildServiceAccountTokens({ privateKey: await createKey(), accounts, clock: handClock() })
const reviews = buildReviews({ authorizer: buildRbacAuthorizer(source), source, tokens })
const jane: User = { name: 'jane', uid: 'u-1', groups: ['system:authenticated'] }

function ask(kind: string, spec: unknown, namespace = '', user = jane): Promise<unknown> {
  const review = reviews.find((each) => each.kind === kind)
  if (!review) throw new Error(`no ${kind}`)
  return review.run({ kind, spec }, { user, namespace, signal: new AbortController().signal })
}

const vms = { verb: 'get', group: 'kubevirt.io', resource: 'virtualmachines', namespace: 'dev' }
const allowed = (value: boolean) => ({ status: expect.objectContaining({ allowed: value }) })

test('an answer is the question with a status', async () => {
  expect(await ask('SelfSubjectAccessReview', { resourceAttributes: vms })).toEqual({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: {},
    spec: { resourceAttributes: vms },
    status: {
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "janes/dev" of Role "reader" to User "jane"',
    },
  })
})

test.each<[string, string, unknown, string, boolean]>([
  ['I', 'SelfSubjectAccessReview', { resourceAttributes: { ...vms, namespace: 'prod' } }, '', false],
  [
    'I, a path',
    'SelfSubjectAccessReview',
    { nonResourceAttributes: { verb: 'get', path: '/metrics' } },
    '',
    true,
  ],
  ['a user', 'SubjectAccessReview', { user: 'jane', resourceAttributes: vms }, '', true],
  ['another user', 'SubjectAccessReview', { user: 'joe', resourceAttributes: vms }, '', false],
  ['a group', 'SubjectAccessReview', { groups: ['devs'], resourceAttributes: vms }, '', true],
  [
    'a subresource',
    'SubjectAccessReview',
    { user: 'jane', resourceAttributes: { ...vms, subresource: 'status' } },
    '',
    false,
  ],
  [
    'a user in a namespace',
    'LocalSubjectAccessReview',
    { user: 'jane', resourceAttributes: vms },
    'dev',
    true,
  ],
])('%s may or may not', async (_case, kind, spec, namespace, answer) => {
  expect(await ask(kind, spec, namespace)).toMatchObject(allowed(answer))
})

test.each<[string, string, unknown, number]>([
  ['of nothing', 'SelfSubjectAccessReview', {}, 422],
  ['of two things', 'SelfSubjectAccessReview', { resourceAttributes: vms, nonResourceAttributes: {} }, 422],
  ['of nobody', 'SubjectAccessReview', { resourceAttributes: vms }, 422],
  ['with a verb that is no text', 'SelfSubjectAccessReview', { resourceAttributes: { verb: 1 } }, 422],
  ['with groups that are no list', 'SubjectAccessReview', { groups: 'devs', resourceAttributes: vms }, 422],
  [
    'of another namespace',
    'LocalSubjectAccessReview',
    { user: 'jane', resourceAttributes: { ...vms, namespace: 'prod' } },
    422,
  ],
  [
    'of a path in a namespace',
    'LocalSubjectAccessReview',
    { user: 'j', nonResourceAttributes: { path: '/' } },
    422,
  ],
  ['of rules nowhere', 'SelfSubjectRulesReview', {}, 400],
  ['of no token', 'TokenReview', {}, 400],
  ['that is no object', 'SelfSubjectAccessReview', 'x', 400],
])('a review %s is refused', async (_case, kind, spec, code) => {
  await expect(ask(kind, spec, 'dev')).rejects.toMatchObject({ code })
})

test('a body of another kind is refused', async () => {
  const [review] = reviews
  const context = { user: jane, namespace: '', signal: new AbortController().signal }
  await expect(review?.run({ kind: 'Pod' }, context)).rejects.toMatchObject({ code: 400 })
  await expect(review?.run([], context)).rejects.toMatchObject({ code: 400 })
})

test('what I may do in a namespace is listed', async () => {
  expect(await ask('SelfSubjectRulesReview', { namespace: 'dev' })).toMatchObject({
    status: { resourceRules: [READ_VMS], nonResourceRules: [paths], incomplete: false },
  })
  expect(await ask('SelfSubjectRulesReview', { namespace: 'prod' })).toMatchObject({
    status: { resourceRules: [] },
  })
})

test('who I am is told', async () => {
  expect(await ask('SelfSubjectReview', {})).toMatchObject({
    status: { userInfo: { username: 'jane', uid: 'u-1', groups: ['system:authenticated'] } },
  })
})

test('whose a token is is told, without repeating it', async () => {
  const { token } = await tokens.issue(account, [DEFAULT_ISSUER], 600)
  const answer = await ask('TokenReview', { token })
  expect(answer).toMatchObject({
    status: {
      authenticated: true,
      user: { username: 'system:serviceaccount:dev:robot', uid: account.metadata.uid },
      audiences: [DEFAULT_ISSUER],
    },
  })
  expect(JSON.stringify(answer)).not.toContain(token)
  expect(await ask('TokenReview', { token: `${token}x` })).toMatchObject({ status: { authenticated: false } })
  expect(await ask('TokenReview', { token: 'opaque' })).toMatchObject({ status: { authenticated: false } })
})
