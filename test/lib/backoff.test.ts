import { expect, test } from 'vitest'
import { backoffMs } from '../../src/lib/backoff.ts'

const backoff = { baseMs: 100, maxMs: 1000 }

test.each([
  [1, 100],
  [2, 200],
  [4, 800],
  [5, 1000],
  [5000, 1000],
])('after %i failures the delay is %i ms', (failures, delayMs) => {
  expect(backoffMs(backoff, failures)).toBe(delayMs)
})

test('chance shortens the delay by a fifth at most', () => {
  expect(backoffMs(backoff, 1, 0.999_999)).toBe(80)
})
