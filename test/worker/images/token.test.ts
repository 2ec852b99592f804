import { expect, test } from 'vitest'
import { parseChallenges } from '../../../src/worker/images/token.ts'

test.each([
  ['Basic', [{ scheme: 'basic', params: {} }]],
  ['Basic realm="a, b"', [{ scheme: 'basic', params: { realm: 'a, b' } }]],
  [
    'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push"',
    [
      {
        scheme: 'bearer',
        params: { realm: 'https://auth.example/token', service: 'r', scope: 'repository:a/b:pull,push' },
      },
    ],
  ],
  [
    'Basic realm="x", bearer Realm=y , service="q\\"uoted"',
    [
      { scheme: 'basic', params: { realm: 'x' } },
      { scheme: 'bearer', params: { realm: 'y', service: 'q"uoted' } },
    ],
  ],
  ['', []],
  ['"', []],
])('%s is read', (header, challenges) => {
  expect(parseChallenges(header)).toEqual(challenges)
})

test('a header made to take long does not', () => {
  const began = performance.now()
  for (const piece of ['\\', '" ', 'a=', ', ', 'a="\\"']) parseChallenges(`Bearer ${piece.repeat(16_000)}`)
  expect(performance.now() - began).toBeLessThan(500)
})
