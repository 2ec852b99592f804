import { expect, test } from 'vitest'
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelValue,
  checkPathSegment,
  checkQualifiedName,
  generateName,
  isDns1123Label,
  isDns1123Subdomain,
} from '../../src/lib/names.ts'

const long = (length: number) => 'a'.repeat(length)

test.each([
  ['a', 0],
  ['a-1', 0],
  [long(63), 0],
  [long(64), 1],
  ['', 1],
  ['A', 1],
  ['a.b', 1],
  ['-a', 1],
  ['a-', 1],
  [`-${long(64)}`, 2],
  ['ä', 1],
])('%j as a label has %i faults', (text, faults) => {
  expect(checkDns1123Label(text)).toHaveLength(faults)
  expect(isDns1123Label(text)).toBe(faults === 0)
})

test.each([
  ['a.b-c.d', 0],
  ['a..b', 1],
  ['.a', 1],
  [`${long(250)}.aa`, 0],
  [`${long(251)}.aa`, 1],
  ['a_b', 1],
])('%j as a subdomain has %i faults', (text, faults) => {
  expect(checkDns1123Subdomain(text)).toHaveLength(faults)
  expect(isDns1123Subdomain(text)).toBe(faults === 0)
})

/** Contract: PRIM-003. */
test.each([
  ['a', 0],
  ['example.com/a_B.c', 0],
  ['', 2],
  ['a/b/c', 1],
  ['/a', 1],
  ['Bad/a', 1],
  ['a/', 2],
  [long(64), 1],
  ['-a', 1],
])('%j as a qualified name has %i faults', (text, faults) => {
  expect(checkQualifiedName(text)).toHaveLength(faults)
})

test.each([
  ['', 0],
  ['A.b_c-d', 0],
  ['-a', 1],
  [long(64), 1],
  ['a b', 1],
])('%j as a label value has %i faults', (text, faults) => {
  expect(checkLabelValue(text)).toHaveLength(faults)
})

test('an RBAC name may hold a colon but must stay one segment of a path', () => {
  expect(checkPathSegment('system:node')).toEqual([])
  expect(checkPathSegment('a/b')).toHaveLength(1)
  expect(checkPathSegment('..')).toHaveLength(1)
  expect(checkPathSegment('a%2f')).toHaveLength(1)
})

test('a generated name is its base, cut to 58, and five characters', () => {
  expect(generateName('web-', () => 0)).toBe('web-bbbbb')
  expect(generateName(long(80), (below) => below - 1)).toBe(`${long(58)}99999`)
})
