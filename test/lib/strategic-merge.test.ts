import { expect, test } from 'vitest'
import { applyStrategicMerge, type MergeSchema, StrategicMergeError } from '../../src/lib/strategic-merge.ts'

const schema: MergeSchema = {
  members: {
    people: { mergeKey: 'name', element: { members: { pets: { isSet: true } } } },
    tags: { isSet: true },
  },
}
const people = (...names: string[]) => names.map((name) => ({ name }))
const target = () => ({
  people: [
    { name: 'ann', age: 1 },
    { name: 'bob', age: 2 },
  ],
  tags: ['a', 'b'],
  plain: [1],
  map: { x: 1, y: 2 },
})

test.each([
  [
    'merges an element by its key',
    { people: [{ name: 'bob', age: 3 }] },
    {
      people: [
        { name: 'ann', age: 1 },
        { name: 'bob', age: 3 },
      ],
    },
  ],
  ['appends a new element', { people: [{ name: 'cid' }] }, { people: [...target().people, { name: 'cid' }] }],
  [
    'deletes an element',
    { people: [{ name: 'ann', $patch: 'delete' }] },
    { people: [{ name: 'bob', age: 2 }] },
  ],
  ['replaces a list', { people: [{ $patch: 'replace' }, { name: 'cid' }] }, { people: people('cid') }],
  ['replaces a list without key', { plain: [2] }, { plain: [2] }],
  ['adds to a set', { tags: ['b', 'c'] }, { tags: ['a', 'b', 'c'] }],
  ['takes from a set', { '$deleteFromPrimitiveList/tags': ['a'] }, { tags: ['b'] }],
  ['orders a set', { '$setElementOrder/tags': ['b', 'a'] }, { tags: ['b', 'a'] }],
  [
    'orders a list by key',
    { '$setElementOrder/people': people('bob', 'ann'), people: [{ name: 'ann', age: 5 }] },
    {
      people: [
        { name: 'bob', age: 2 },
        { name: 'ann', age: 5 },
      ],
    },
  ],
  ['replaces an object', { map: { $patch: 'replace', z: 3 } }, { map: { z: 3 } }],
  ['deletes an object', { map: { $patch: 'delete' } }, { map: undefined }],
  ['retains keys', { map: { $retainKeys: ['y', 'z'], z: 3 } }, { map: { y: 2, z: 3 } }],
  ['removes by null', { map: { x: null } }, { map: { y: 2 } }],
  [
    'merges sets in elements',
    { people: [{ name: 'ann', pets: ['cat'] }] },
    {
      people: [
        { name: 'ann', age: 1, pets: ['cat'] },
        { name: 'bob', age: 2 },
      ],
    },
  ],
])('%s', (_name, patch, changed) => {
  const before = target()
  const expected = Object.fromEntries(
    Object.entries({ ...target(), ...changed }).filter(([, value]) => value !== undefined),
  )
  expect(applyStrategicMerge(before, patch, schema)).toEqual(expected)
  expect(before).toEqual(target())
})

test.each([
  ['an unknown directive', { map: { $patch: 'twist' } }, 'unknown $patch "twist"'],
  ['an element without key', { people: [{ age: 1 }] }, 'has no name'],
  ['a surplus key', { map: { $retainKeys: ['y'], z: 3 } }, 'z is in the patch but not in its $retainKeys'],
])('%s is refused', (_name, patch, message) => {
  expect(() => applyStrategicMerge(target(), patch, schema)).toThrow(StrategicMergeError)
  expect(() => applyStrategicMerge(target(), patch, schema)).toThrow(message)
})
