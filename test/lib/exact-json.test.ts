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

  test('whole numbers of 64 bits survive being written and read', () => {
    assert(
      property(bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (number) => {
        const read = parseExact(formatExact({ number })) as { number: number | bigint }
        expect(BigInt(read.number)).toBe(number)
      }),
    )
  })
})
