import * as fc from 'fast-check'
import { createPatch } from 'rfc6902'
import { describe, expect, test } from 'vitest'
import { applyJsonPatch, JsonPatchError } from '../../src/lib/json-patch.ts'

const document = () => ({ a: { b: [1, 2, 3] }, labels: { 'x/y': '1', 'm~n': '2' } })

function faultOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof JsonPatchError) return error.fault
    throw error
  }
  return undefined
}

test.each([
  ['add a member', [{ op: 'add', path: '/c', value: 1 }], { ...document(), c: 1 }],
  [
    'add to the end of a list',
    [{ op: 'add', path: '/a/b/-', value: 4 }],
    { ...document(), a: { b: [1, 2, 3, 4] } },
  ],
  [
    'add before the last, by -2',
    [{ op: 'add', path: '/a/b/-2', value: 9 }],
    { ...document(), a: { b: [1, 2, 9, 3] } },
  ],
  ['remove the last, by -1', [{ op: 'remove', path: '/a/b/-1' }], { ...document(), a: { b: [1, 2] } }],
  ['replace by -3', [{ op: 'replace', path: '/a/b/-3', value: 0 }], { ...document(), a: { b: [0, 2, 3] } }],
  ['replace the whole', [{ op: 'replace', path: '', value: { n: 1 } }], { n: 1 }],
  [
    'escaped names',
    [
      { op: 'remove', path: '/labels/x~1y' },
      { op: 'remove', path: '/labels/m~0n' },
    ],
    { a: { b: [1, 2, 3] }, labels: {} },
  ],
  ['move', [{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: [1, 2, 3], labels: document().labels }],
  ['copy', [{ op: 'copy', from: '/a/b/0', path: '/a/b/0' }], { ...document(), a: { b: [1, 1, 2, 3] } }],
  ['a test of what is absent against null', [{ op: 'test', path: '/nothing', value: null }], document()],
  [
    'a member that is called constructor',
    [{ op: 'add', path: '/labels/constructor', value: '3' }],
    { ...document(), labels: { ...document().labels, constructor: '3' } },
  ],
])('%s', (_name, operations, expected) => {
  const before = document()
  expect(applyJsonPatch(before, operations)).toEqual(expected)
  expect(before).toEqual(document())
})

test.each([
  ['a failed test', [{ op: 'test', path: '/a/b/0', value: 2 }]],
  ['a missing parent', [{ op: 'add', path: '/x/y', value: 1 }]],
  ['removing what is not there', [{ op: 'remove', path: '/x' }]],
  ['replacing what is not there', [{ op: 'replace', path: '/x', value: 1 }]],
  ['replacing behind the end of a list', [{ op: 'replace', path: '/a/b/-', value: 1 }]],
  ['an index beyond the end', [{ op: 'add', path: '/a/b/4', value: 1 }]],
  ['an index that is none', [{ op: 'replace', path: '/a/b/01', value: 1 }]],
  ['a negative index beyond the beginning', [{ op: 'remove', path: '/a/b/-4' }]],
  ['an inherited member', [{ op: 'copy', from: '/toString', path: '/c' }]],
  ['the prototype', [{ op: 'add', path: '/__proto__', value: { admin: true } }]],
  ['a member of the prototype', [{ op: 'add', path: '/constructor/prototype/admin', value: true }]],
  ['moving into itself', [{ op: 'move', from: '/a', path: '/a/b/0' }]],
  ['removing the whole', [{ op: 'remove', path: '' }]],
])('%s is refused', (_name, operations) => {
  expect(faultOf(() => applyJsonPatch(document(), operations))).toBe('failed')
  expect(({} as Record<string, unknown>).admin).toBeUndefined()
})

test.each([
  ['no list', { op: 'add' }],
  ['no operation', ['add']],
  ['an unknown operation', [{ op: 'drop', path: '/a' }]],
  ['no path', [{ op: 'remove' }]],
  ['a path without slash', [{ op: 'remove', path: 'a' }]],
  ['no value', [{ op: 'add', path: '/a' }]],
  ['no from', [{ op: 'copy', path: '/a' }]],
])('%s is malformed', (_name, operations) => {
  expect(faultOf(() => applyJsonPatch(document(), operations))).toBe('malformed')
})

test('the first failing step ends it and says which it was', () => {
  const operations = [
    { op: 'add', path: '/c', value: 1 },
    { op: 'test', path: '/c', value: 2 },
    { op: 'add', path: '/d', value: 1 },
  ]
  expect(() => applyJsonPatch({}, operations)).toThrow('operation 1 (test "/c"): found 1, expected 2')
})

test('J1: members of a value that are called __proto__ stay members', () => {
  const value = JSON.parse('{"__proto__":{"admin":true}}') as object
  const patched = applyJsonPatch({ list: [] }, [
    { op: 'add', path: '/list/-', value },
    { op: 'add', path: '/a', value: null },
    { op: 'replace', path: '/a', value },
    { op: 'copy', from: '/a', path: '/b' },
    { op: 'move', from: '/a', path: '/c' },
  ])
  const text = JSON.stringify(value)
  expect(JSON.stringify(patched)).toBe(`{"list":[${text}],"b":${text},"c":${text}}`)
})

test('more than 10,000 steps, and copies that multiply, are too large', () => {
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: {} }))
  expect(faultOf(() => applyJsonPatch({}, many))).toBe('too-large')
  const doubling = Array.from({ length: 40 }, (_value, step) => ({ op: 'copy', from: '', path: `/c${step}` }))
  expect(faultOf(() => applyJsonPatch({ text: 'x'.repeat(100) }, doubling))).toBe('too-large')
})

describe('for any two documents', () => {
  const json = fc.dictionary(fc.string(), fc.jsonValue())
  const clean = json
    .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
    .filter((value) => !JSON.stringify(value).includes('__proto__'))

  test('the patch between them leads from one to the other, and changes neither', () => {
    fc.assert(
      fc.property(clean, clean, (from, to) => {
        const [before, text] = [JSON.stringify(from), JSON.stringify(to)]
        const patch = createPatch(JSON.parse(before), JSON.parse(text))
        expect(applyJsonPatch(from, patch)).toEqual(JSON.parse(text))
        expect(JSON.stringify(from)).toBe(before)
      }),
      { numRuns: 300 },
    )
  })

  test('no patch makes it fail otherwise than with a JsonPatchError', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', '0', '-1', '-', '__proto__', 'length', '~1'))
      .map((parts) => parts.map((part) => `/${part}`).join(''))
    const step = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
      path,
      from: path,
      value: fc.jsonValue(),
    })
    fc.assert(
      fc.property(clean, fc.array(step), (from, steps) => {
        const before = JSON.stringify(from)
        faultOf(() => applyJsonPatch(from, steps))
        expect(JSON.stringify(from)).toBe(before)
        expect(Object.keys(Object.prototype)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})
