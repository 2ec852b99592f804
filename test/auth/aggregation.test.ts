import { expect, test } from 'vitest'
import { aggregate } from '../../src/auth/rbac/aggregation.ts'
import type { ClusterRole } from '../../src/kinds/core.ts'
import type { LabelSelector } from '../../src/lib/selectors.ts'

function role(name: string, verb: string, labels: Record<string, string>): ClusterRole {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: [verb] }],
  }
}

const ROLES = [
  role('a', 'get', { tier: 'view' }),
  role('b', 'list', { tier: 'edit' }),
  role('c', 'watch', {}),
]

test.each<[string, LabelSelector[], string[]]>([
  ['by labels', [{ matchLabels: { tier: 'view' } }], ['get']],
  [
    'by either of two',
    [{ matchLabels: { tier: 'edit' } }, { matchLabels: { tier: 'view' } }],
    ['get', 'list'],
  ],
  ['by an expression', [{ matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }], ['watch']],
  ['by an operator that nobody knows', [{ matchExpressions: [{ key: 'tier', operator: 'Near' }] }], []],
  ['by values that are missing', [{ matchExpressions: [{ key: 'tier', operator: 'In' }] }], []],
  ['by nothing', [], []],
])('rules are gathered from roles that are selected %s', (_how, clusterRoleSelectors, verbs) => {
  const gathering = { ...role('all', 'none', {}), aggregationRule: { clusterRoleSelectors } }
  expect(aggregate(gathering, [...ROLES, gathering]).flatMap((rule) => rule.verbs)).toEqual(verbs)
})
