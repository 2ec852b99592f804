import { expect, test } from 'vitest'
import { matchesGlob } from '../../src/lib/glob.ts'

test.each([
  ['q35*', 'q35', true],
  ['pc-q35*', 'pc-q35-rhel9.2', true],
  ['q35*', 'pc-q35', false],
  ['*', 'a/b', false],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['[a-c]x', 'bx', true],
  ['[^a-c]x', 'bx', false],
  ['[^a-c]x', 'dx', true],
  [String.raw`a\*`, 'a*', true],
  [String.raw`a\*`, 'ab', false],
  ['a.c', 'abc', false],
  ['[a', 'a', false],
  ['[z-a]', 'b', false],
  ['', '', true],
])('%j matches %j: %s', (pattern, name, expected) => {
  expect(matchesGlob(pattern, name)).toBe(expected)
})
