import { expect, test } from 'vitest'
import { printable } from '../../src/lib/printable.ts'

test.each([
  ['system:admin', 20, 'system:admin'],
  ['a\nb\u001b[31m\u2028', 100, 'a\\u{a}b\\u{1b}[31m\\u{2028}'],
  ['Zoë 🙂', 10, 'Zoë 🙂'],
  ['abcdef', 4, 'abc…'],
  ['abcdef', 6, 'abcdef'],
  ['\ud800', 10, '\ufffd'],
])('%j within %i characters is %j', (text, limit, out) => {
  expect(printable(text, limit)).toBe(out)
})

test('a cut never leaves half a character', () => {
  expect(printable('🙂🙂🙂', 4)).toSatisfy((text: string) => text.isWellFormed() && text.length <= 4)
})
