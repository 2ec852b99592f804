import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareQuantities,
  formatBytes,
  isQuantity,
  quantityToBytes,
  quantityToMilli,
  quantityToNano,
} from '../../src/lib/quantity.ts'

test.each([
  ['512Mi', 512n * 1024n ** 2n],
  ['1.5Gi', 1536n * 1024n ** 2n],
  ['1.5G', 1_500_000_000n],
  ['0.5', 1n],
  ['-0.5', -1n],
  ['100m', 1n],
  ['1e3', 1000n],
  ['1E3', 1000n],
  ['1E', 10n ** 18n],
  ['1Ei', 1024n ** 6n],
  ['12E-1', 2n],
  ['.5Ki', 512n],
  ['5.', 5n],
  ['+1k', 1000n],
  [' 1M ', 1_000_000n],
  [67_108_864, 67_108_864n],
  ['9007199254740993', 9_007_199_254_740_993n],
])('%s is %s bytes, rounded away from zero', (text, bytes) => {
  expect(quantityToBytes(text)).toBe(bytes)
})

test.each([
  '',
  'NaN',
  'Infinity',
  '-Infinity',
  '1 Gi',
  '0x10',
  '1Zi',
  '1.2.3',
  'Gi',
  '.',
  '1e',
  '--1',
  '1'.repeat(65),
])('D6: %j is refused with a word on what to write', (text) => {
  expect(() => quantityToBytes(text)).toThrow(RangeError)
  expect(() => quantityToBytes(text)).toThrow(/is not a quantity: write a number and a unit/)
})

const LARGEST = 2n ** 63n - 1n

test.each<[string | number, bigint]>([
  [-5e-324, -1n],
  [Number.MIN_VALUE, 1n],
  [1e37, LARGEST],
  [-1e37, -LARGEST],
  [Number.MAX_VALUE, LARGEST],
  ['1e999', LARGEST],
  ['-1e99999999999', -LARGEST],
  ['1e-99999999999', 1n],
  ['0e999', 0n],
  ['8Ei', LARGEST],
  [`0.${'0'.repeat(55)}1e+999`, LARGEST],
])('D6: %s is beyond what a quantity can say, and as near to it as can be: %s', (text, bytes) => {
  expect(isQuantity(text)).toBe(true)
  expect(quantityToBytes(text)).toBe(bytes)
})

test('plain quantities are reckoned as the others are', () => {
  const plain = fc.tuple(fc.nat(999_999), fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi'))
  fc.assert(
    fc.property(plain, ([digits, unit]) => {
      // A sign makes it one of the others.
      expect(quantityToBytes(`${digits}${unit}`)).toBe(quantityToBytes(`+${digits}${unit}`))
      expect(quantityToMilli(`${digits}${unit}`)).toBe(quantityToMilli(`+${digits}${unit}`))
    }),
  )
})

test('numbers that are none are refused', () => {
  expect(() => quantityToBytes(Number.NaN)).toThrow(RangeError)
  expect(isQuantity(Number.POSITIVE_INFINITY)).toBe(false)
  expect(isQuantity({})).toBe(false)
  expect(isQuantity('2Mi')).toBe(true)
})

test('thousandths and billionths keep what whole numbers lose', () => {
  expect(quantityToMilli('0.1')).toBe(100n)
  expect(quantityToMilli('1.0001')).toBe(1001n)
  expect(quantityToNano('0.1n')).toBe(1n)
  expect(quantityToNano('1u')).toBe(1000n)
})

test('quantities compare by value, whatever their unit', () => {
  expect(compareQuantities('1Gi', '1024Mi')).toBe(0)
  expect(compareQuantities('1Gi', '1G')).toBe(1)
  expect(compareQuantities('900m', '1')).toBe(-1)
})

function outcomeOf(run: () => unknown): string {
  try {
    return typeof run()
  } catch (error) {
    return error instanceof Error ? error.name : 'no error'
  }
}

describe('for any quantity', () => {
  const bytes = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })

  test('what is formatted reads as the same number of bytes', () => {
    fc.assert(
      fc.property(bytes, (amount) => {
        expect(quantityToBytes(formatBytes(amount))).toBe(amount)
      }),
    )
  })

  test('no larger unit would do', () => {
    const isShortest = (text: string) =>
      text === '0' || text.endsWith('Ei') || BigInt(text.replace(/\D+$/, '')) % 1024n !== 0n
    fc.assert(
      fc.property(bytes, (amount) => {
        expect(formatBytes(amount)).toSatisfy(isShortest)
      }),
    )
  })

  test('rounding up adds less than a whole one', () => {
    const whole = fc.bigInt({ min: 0n, max: 10n ** 15n })
    const nano = fc.bigInt({ min: 0n, max: 10n ** 9n - 1n })
    fc.assert(
      fc.property(whole, nano, (units, billionths) => {
        const text = `${units}.${String(billionths).padStart(9, '0')}`
        expect(quantityToNano(text)).toBe(units * 10n ** 9n + billionths)
        expect(quantityToBytes(text)).toBe(billionths === 0n ? units : units + 1n)
      }),
    )
  })

  test('no text makes it fail otherwise than with a RangeError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(outcomeOf(() => quantityToBytes(text))).toBe(isQuantity(text) ? 'bigint' : 'RangeError')
      }),
    )
  })
})
