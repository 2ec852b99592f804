import { expect, test } from 'vitest'
import { applyMergePatch } from '../../src/lib/merge-patch.ts'

/** The examples of RFC 7386, appendix A. */
test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('%j with %j becomes %j', (target, patch, expected) => {
  const before = structuredClone(target)
  expect(applyMergePatch(target, patch)).toEqual(expected)
  expect(target).toEqual(before)
})

test('J1: a member that is called __proto__ stays a member', () => {
  const merged = applyMergePatch({}, JSON.parse('{"__proto__": {"admin": true}}')) as Record<string, unknown>
  expect(JSON.stringify(merged)).toBe('{"__proto__":{"admin":true}}')
  expect(merged.admin).toBeUndefined()
})
