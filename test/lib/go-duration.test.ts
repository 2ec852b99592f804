import { expect, test } from 'vitest'
import { parseGoDuration } from '../../src/lib/go-duration.ts'

test.each([
  ['0', 0],
  ['-0', 0],
  ['30s', 30],
  ['5m0s', 300],
  ['1h15m30.918273645s', 4530.918273645],
  ['1.5h', 5400],
  ['.5s', 0.5],
  ['1.s', 1],
  ['-1m', -60],
  ['+2s', 2],
  ['300ms', 0.3],
  ['5µs', 0.000005],
  ['5μs', 0.000005],
  ['7ns', 0.000000007],
])('%s is %d seconds', (text, seconds) => {
  expect(parseGoDuration(text)).toBeCloseTo(seconds, 12)
})

test.each(['', '3', '-', 's', '.', '1d', '1 s', '30S', '1e3s', '1h-2m', '9999999h', ' 1s', '0x1s'])(
  '%j is no duration',
  (text) => {
    expect(() => parseGoDuration(text)).toThrow(RangeError)
  },
)
