import { expect, test } from 'vitest'
import { parseMigrationNetworks } from '../../src/roles/migration-networks.ts'

test('networks are read with their addresses', () => {
  expect(parseMigrationNetworks(['virtgate/fast=10.1.2.3', 'slow=fd00::1'])).toEqual({
    'virtgate/fast': '10.1.2.3',
    slow: 'fd00::1',
  })
  expect(parseMigrationNetworks([])).toEqual({})
})

test.each([
  [['fast'], /"fast" is no NAME=IP/],
  [['=10.1.2.3'], /is no NAME=IP/],
  [['fast=node01'], /is no NAME=IP/],
  [['fast=10.1.2.3', 'fast=10.1.2.4'], /names fast twice/],
])('%j is refused', (texts, message) => {
  expect(() => parseMigrationNetworks(texts)).toThrow(message)
})
