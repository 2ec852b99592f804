import { expect, test } from 'vitest'
import { mapsRange } from '../../src/worker/user.ts'

test.each([
  ['all of the machine', '         0          0 4294967295\n', true],
  ['a container with few users', '         0     100000      65536\n', false],
  ['several ranges, one of them ours', '0 1000 1\n1 100000 65536\n1879048192 1879048192 267386880\n', true],
  ['nothing', '', false],
])('whether guests can have users of their own in %s', (_what, map, expected) => {
  expect(mapsRange(map)).toBe(expected)
})
