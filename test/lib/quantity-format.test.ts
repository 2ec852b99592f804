import { describe, expect, test } from 'vitest'
import { formatQuantity } from '../../src/lib/quantity-format.ts'

describe('a quantity in canonical form', () => {
  // Contract: MUT-P-004.
  test.each([
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['67108864', '67108864'],
    ['2048Ki', '2Mi'],
    ['0.1n', '1n'],
    ['1e3', '1e3'],
    ['100000', '100k'],
    ['+1', '+1'],
    ['0Mi', '0'],
    ['-1024Mi', '-1Gi'],
  ])('of %s is %s', (text, expected) => {
    expect(formatQuantity(text)).toBe(expected)
    expect(formatQuantity(expected)).toBe(expected)
  })

  test('is none of what is no quantity', () => {
    expect(() => formatQuantity('much')).toThrow(RangeError)
  })
})
