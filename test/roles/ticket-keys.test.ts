import { expect, test } from 'vitest'
import { buildTicketKeys } from '../../src/roles/ticket-keys.ts'

test('servers that share a secret share the key, which is not the secret', () => {
  const [one] = buildTicketKeys(() => 'secret')()
  const [other] = buildTicketKeys(() => 'secret')()
  const [stranger] = buildTicketKeys(() => 'another')()
  expect(one).toEqual(other)
  expect(one).not.toEqual(stranger)
  expect(one?.length).toBe(32)
  expect(Buffer.from(one ?? []).toString()).not.toContain('secret')
})

test('the key before is believed after a change, and no older one', () => {
  let secret = 'a'
  const keys = buildTicketKeys(() => secret)
  const [a] = keys()
  secret = 'b'
  const [b, before] = keys()
  expect([before, keys().length]).toEqual([a, 2])
  secret = 'c'
  expect(keys()).toHaveLength(2)
  expect(keys()[1]).toEqual(b)
  expect(keys()).not.toContain(a)
})
