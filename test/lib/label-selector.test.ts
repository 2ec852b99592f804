import { expect, test } from 'vitest'
import { matchesLabels, requirementsOf, SelectorError, type LabelSelector } from '../../src/lib/selectors.ts'

const labels = { app: 'web', tier: 'front' }

test.each<[LabelSelector, boolean]>([
  [{}, true],
  [{ matchLabels: { app: 'web' } }, true],
  [{ matchLabels: { app: 'db' } }, false],
  [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['front', 'back'] }] }, true],
  [{ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['front'] }] }, false],
  [{ matchExpressions: [{ key: 'old', operator: 'NotIn', values: ['yes'] }] }, true],
  [{ matchExpressions: [{ key: 'old', operator: 'Exists' }] }, false],
  [{ matchExpressions: [{ key: 'old', operator: 'DoesNotExist', values: [] }] }, true],
  [{ matchLabels: { app: 'web' }, matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] }, false],
])('the selector %j chooses the labels: %s', (selector, expected) => {
  expect(matchesLabels(requirementsOf(selector), labels)).toBe(expected)
})

test.each<[string, LabelSelector]>([
  ['an operator nobody knows', { matchExpressions: [{ key: 'a', operator: 'Near', values: ['b'] }] }],
  [
    'an operator that objects have',
    { matchExpressions: [{ key: 'a', operator: 'toString', values: ['b'] }] },
  ],
  ['In without values', { matchExpressions: [{ key: 'a', operator: 'In' }] }],
  ['Exists with values', { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] }],
  ['a key that is none', { matchLabels: { '!': 'b' } }],
  ['a value that is none', { matchLabels: { a: 'no spaces' } }],
])('a selector with %s is refused', (_what, selector) => {
  expect(() => requirementsOf(selector)).toThrow(SelectorError)
})
