import { assert, bigInt, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatExact, parseExact } from '../../src/lib/exact-json.ts'

describe('exact JSON', () => {
  test('a number that JavaScript would round stays exact', () => {
    expect(parseExact('{"free": 18446744073709551615, "total": 1024}')).toEqual({
      free: 18_446_744_073_709_551_615n,
      total: 1024,
    })
  })

  test('a number with a fraction, an exponent or in a text stays what it is', () => {
    expect(parseExact('{"a": 1.0000000000000000001, "b": 1e300, "c": "18446744073709551615"}')).toEqual({
      a: 1,
      b: 1e300,
      c: '18446744073709551615',
    })
  })

  test('whole numbers of 64 bits survive being read and written', () => {
    assert(
      property(bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (number) => {
        const text = `{"number":${number}}`
        expect(formatExact(parseExact(text))).toBe(text)
      }),
      // A number of JavaScript that is written with the same digits is as good.
      { numRuns: 1000, examples: [[-405_045_111_541_192_600n], [2n ** 53n + 1n]] },
    )
  })
})
