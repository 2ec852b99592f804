import { expect, test } from 'vitest'
import { Cids } from '../../../src/worker/network/cids.ts'

/** Source: security C7. */
test('no guest gets a context id of the host, nor the one that means any', () => {
  const lowest = new Cids((from) => from)
  const highest = new Cids((_from, below) => below - 1)
  expect([lowest.take('a'), highest.take('a')]).toEqual([3, 2 ** 31 - 1])
})

test('no two guests have the same, those of an earlier worker included', () => {
  const drawn = [7, 7, 8, 8, 9]
  const cids = new Cids(() => drawn.shift() ?? 0)
  cids.adopt('old', 7)
  expect([cids.take('a'), cids.take('b')]).toEqual([8, 9])
  cids.release('old')
  drawn.push(7)
  expect(cids.take('c')).toBe(7)
})
