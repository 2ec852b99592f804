import { expect, test } from 'vitest'
import { parseAdvertised } from '../../src/roles/advertise.ts'
import { formatAddress, nodeOf } from '../../src/roles/node-list.ts'

test.each<[string, string, number | undefined]>([
  ['10.0.0.1', '10.0.0.1', undefined],
  ['10.0.0.1:8443', '10.0.0.1', 8443],
  ['host01', 'host01', undefined],
  ['Host_1.example.org:8443', 'Host_1.example.org', 8443],
  ['::1', '::1', undefined],
  ['fd00:1:2::3', 'fd00:1:2::3', undefined],
  // No port: nothing tells it from a part of the address.
  ['fd00::1:8443', 'fd00::1:8443', undefined],
  ['[::1]', '::1', undefined],
  ['[fd00::1]:8443', 'fd00::1', 8443],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1', undefined],
  ['10.0.0.1:0', '10.0.0.1', 0],
])('%s is read, and comes through a Lease as it was', (text, host, port) => {
  expect(parseAdvertised(text)).toEqual(port === undefined ? { host } : { host, port })
  const address = formatAddress({ host, port: port || 8186 })
  expect(nodeOf('node01', address, address)).toEqual({ name: 'node01', host, port: port || 8186 })
})

test.each([
  ['', 'no ADDRESS'],
  [':8443', 'no ADDRESS'],
  ['[]:8443', 'no ADDRESS'],
  ['[10.0.0.1]:8443', 'no ADDRESS'],
  ['[host01]', 'no ADDRESS'],
  ['fd00::1]:8443', 'no ADDRESS'],
  ['[fd00::1', 'no ADDRESS'],
  ['[fd00::1]8443', 'no ADDRESS'],
  ['fd00::g', 'no ADDRESS'],
  ['1:2:3', 'no ADDRESS'],
  ['10.0.0.256', 'no ADDRESS'],
  ['10.0.0.1:', 'no ADDRESS'],
  ['10.0.0.1:8443/x', 'no ADDRESS'],
  ['https://host01', 'no ADDRESS'],
  ['10.0.0.1:65536', 'ports go up to 65535'],
  ['0.0.0.0:8443', 'every address'],
  ['[::]:8443', 'every address'],
  ['::', 'every address'],
  ['fe80::1%eth0', 'a zone'],
])('%j is refused: %s', (text, why) => {
  expect(() => parseAdvertised(text)).toThrow(RangeError)
  expect(() => parseAdvertised(text)).toThrow(why)
})
