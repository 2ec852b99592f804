import { expect, test } from 'vitest'
import {
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from '../../src/lib/selectors.ts'

const labels = { app: 'web', tier: 'a', 'example.com/x': '', in: 'y' }

test.each([
  ['', true],
  ['app=web', true],
  ['app==web', true],
  [' app = web , tier = a ', true],
  ['app=db', false],
  ['app!=db', true],
  ['app!=web', false],
  ['missing!=web', true],
  ['app in (db, web)', true],
  ['app in (db)', false],
  ['app notin (db)', true],
  ['missing notin (db)', true],
  ['app notin (db,web)', false],
  ['app', true],
  ['missing', false],
  ['!missing', true],
  ['! app', false],
  ['example.com/x=', true],
  ['example.com/x', true],
  ['app=', false],
  ['in in (y)', true],
  ['tier in (,a)', true],
  ['app=web,tier=b', false],
  ['toString', false],
])('the label selector %j matches: %s', (text, expected) => {
  expect(matchesLabels(parseLabelSelector(text), labels)).toBe(expected)
})

test('an object without labels meets only what asks for none', () => {
  expect(matchesLabels(parseLabelSelector('!a,b!=1'), undefined)).toBe(true)
  expect(matchesLabels(parseLabelSelector('a'), undefined)).toBe(false)
})

test.each([
  'a=b=c',
  ',',
  'a,',
  'a in b',
  'a in (b',
  'in (a)',
  'a b',
  'a>1',
  '-a=1',
  'a=-',
  'a/b/c',
  '!',
  'a=b c',
])('the label selector %j is refused', (text) => {
  expect(() => parseLabelSelector(text)).toThrow(SelectorError)
})

test.each([
  ['', []],
  ['metadata.name=a', [{ field: 'metadata.name', operator: '=', value: 'a' }]],
  [
    'a==b,c!=',
    [
      { field: 'a', operator: '=', value: 'b' },
      { field: 'c', operator: '!=', value: '' },
    ],
  ],
  [String.raw`a=x\,y\=z\\`, [{ field: 'a', operator: '=', value: String.raw`x,y=z` + '\\' }]],
])('the field selector %j is read', (text, expected) => {
  expect(parseFieldSelector(text)).toEqual(expected)
})

test.each(['a', '=b', String.raw`a=\x`, 'a=b=c', 'a=b,c'])('the field selector %j is refused', (text) => {
  expect(() => parseFieldSelector(text)).toThrow(SelectorError)
})
