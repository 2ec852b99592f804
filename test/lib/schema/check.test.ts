import { expect, test } from 'vitest'
import { checkValue, pruneValue } from '../../../src/lib/schema/check.ts'
import { compileSchemas } from '../../../src/lib/schema/node.ts'
import { refTo, type Definitions } from '../../../src/lib/schema/schema.ts'

const definitions: Definitions = {
  Thing: {
    type: 'object',
    properties: {
      name: { type: 'string' },
      size: { type: 'integer', format: 'int32' },
      count: { type: 'integer', format: 'uint32' },
      ratio: { type: 'number' },
      on: { type: 'boolean' },
      mode: { type: 'string', enum: ['A', 'B'] },
      memory: { oneOf: [{ type: 'string' }, { type: 'number' }], format: 'quantity' },
      port: { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
      at: { description: 'when', allOf: [refTo('Time')] },
      after: { type: 'string', format: 'duration' },
      bytes: { type: 'object', additionalProperties: { type: 'string', format: 'byte' } },
      children: { type: 'array', items: refTo('Thing') },
      empty: { type: 'object' },
      free: { 'x-kubernetes-preserve-unknown-fields': true },
      open: {
        type: 'object',
        properties: { known: { type: 'string' } },
        'x-kubernetes-preserve-unknown-fields': true,
      },
      status: { type: 'object', properties: { must: { type: 'string' } }, required: ['must'] },
    },
    required: ['name'],
  },
  Time: { type: 'string', format: 'date-time' },
}

const thing = () => {
  const node = compileSchemas(definitions, ['Thing']).get('Thing')
  if (!node) throw new Error('Thing was not compiled')
  return node
}
const check = (value: unknown, lenient?: string[]) => checkValue(thing(), value, lenient)

test.each([
  ['everything right', { name: 'a', size: 1, ratio: 1.5, on: false, mode: 'B', children: [{ name: 'b' }] }],
  ['quantities as text', { name: 'a', memory: '1.5Gi' }],
  ['quantities as numbers', { name: 'a', memory: 10 }],
  ['ports by number', { name: 'a', port: 80 }],
  ['ports by name', { name: 'a', port: 'http' }],
  ['moments', { name: 'a', at: '2026-01-31T12:00:00.5+01:00' }],
  ['spans of time', { name: 'a', after: '1h30m' }],
  ['base64', { name: 'a', bytes: { k: 'YQ==' } }],
  ['anything where anything goes', { name: 'a', free: { x: [1, null] }, open: { other: 1, known: 'b' } }],
])('%s passes', (_what, value) => {
  expect(check(value)).toMatchObject({ causes: [], unknownFields: [] })
})

test.each([
  ['a missing member', {}, 'FieldValueRequired', 'name'],
  ['a missing member below', { name: 'a', children: [{}] }, 'FieldValueRequired', 'children[0].name'],
  ['null for what is required', { name: null }, 'FieldValueRequired', 'name'],
  ['a number for a text', { name: 1 }, 'FieldValueTypeInvalid', 'name'],
  ['a text for a number', { name: 'a', size: '1' }, 'FieldValueTypeInvalid', 'size'],
  ['a fraction for a whole number', { name: 'a', size: 1.5 }, 'FieldValueTypeInvalid', 'size'],
  ['a number that is too large', { name: 'a', size: 2 ** 31 }, 'FieldValueInvalid', 'size'],
  ['a negative count', { name: 'a', count: -1 }, 'FieldValueInvalid', 'count'],
  ['an object for a list', { name: 'a', children: {} }, 'FieldValueTypeInvalid', 'children'],
  ['null in a list', { name: 'a', children: [null] }, 'FieldValueTypeInvalid', 'children[0]'],
  ['a list for an object', { name: 'a', empty: [] }, 'FieldValueTypeInvalid', 'empty'],
  ['an unknown word', { name: 'a', mode: 'C' }, 'FieldValueNotSupported', 'mode'],
  ['no quantity', { name: 'a', memory: '1 Gig' }, 'FieldValueInvalid', 'memory'],
  ['an object for a quantity', { name: 'a', memory: {} }, 'FieldValueTypeInvalid', 'memory'],
  ['no moment', { name: 'a', at: 'yesterday' }, 'FieldValueInvalid', 'at'],
  ['no span of time', { name: 'a', after: '5 minutes' }, 'FieldValueInvalid', 'after'],
  ['no base64', { name: 'a', bytes: { key: 'a' } }, 'FieldValueInvalid', 'bytes[key]'],
  [
    'a wrong type where more is kept',
    { name: 'a', open: { known: 1 } },
    'FieldValueTypeInvalid',
    'open.known',
  ],
])('%s is refused at its place', (_what, value, reason, field) => {
  expect(check(value).causes).toEqual([expect.objectContaining({ reason, field })])
})

test('all that is wrong is told at once', () => {
  const { causes } = check({ size: 'x', children: [{ name: 1 }, { name: 'b', on: 'yes' }] })
  expect(causes.map(({ field }) => field)).toEqual(['size', 'children[0].name', 'children[1].on', 'name'])
})

test('unknown members are named with their places', () => {
  const value = { name: 'a', nmae: 1, children: [{ name: 'b', siez: 1 }], empty: { x: 1 } }
  expect(check(value).unknownFields).toEqual(['nmae', 'children[0].siez', 'empty.x'])
})

test('nothing is required below a lenient member, whose types still count', () => {
  expect(check({ name: 'a', status: {} }, ['status']).causes).toEqual([])
  expect(check({ name: 'a', status: {} }).causes).toHaveLength(1)
  expect(check({ name: 'a', status: { must: 1 } }, ['status']).causes).toHaveLength(1)
})

test('a hostile body is answered with a hundred causes, not with a million', () => {
  const children = Array.from({ length: 1000 }, () => ({ name: 1, x: 1 }))
  const report = check({ name: 'a', children })
  expect(report.causes).toHaveLength(100)
  expect(report.unknownFields).toHaveLength(100)
})

test('pruning takes unknown members and nulls away and leaves the rest', () => {
  const value = {
    name: 'a',
    nmae: 1,
    on: null,
    free: { x: null },
    children: [{ name: 'b', siez: 1 }],
    bytes: { k: null, l: 'YQ==' },
  }
  expect(check(value).hasNulls).toBe(true)
  expect(pruneValue(thing(), value)).toEqual({
    name: 'a',
    free: { x: null },
    children: [{ name: 'b' }],
    bytes: { l: 'YQ==' },
  })
  expect(check({ name: 'a', free: null }).hasNulls).toBe(false)
})

test('a member called __proto__ is a member like any other', () => {
  const value: unknown = JSON.parse('{"name":"a","__proto__":{"x":1},"bytes":{"__proto__":"YQ=="}}')
  expect(check(value).unknownFields).toEqual(['__proto__'])
  expect(JSON.stringify(pruneValue(thing(), value))).toBe('{"name":"a","bytes":{"__proto__":"YQ=="}}')
})

test('a schema that is missing is found when schemas are compiled', () => {
  expect(() => compileSchemas({ A: { type: 'array', items: refTo('B') } }, ['A'])).toThrow(
    'no schema called B',
  )
})
