import { expect, test } from 'vitest'
import { parseListen, urlOf } from '../../src/roles/listen.ts'
import { hasIpv6 } from '../helpers/ipv6.ts'

test.each([
  ['10.0.0.1:8443', '10.0.0.1', 8443],
  ['localhost:0', 'localhost', 0],
  ['[fd00::1]:8443', 'fd00::1', 8443],
  ['8443', '127.0.0.1', 8443],
  // Of both families, where there are both.
  [':8443', hasIpv6 ? '::' : '0.0.0.0', 8443],
])('%s is where to listen', (text, host, port) => {
  expect(parseListen(text)).toEqual({ host, port })
})

test.each(['', 'fd00::1:8443', '::1', '10.0.0.1', '10.0.0.1:65536', '[::1]'])('%j is not', (text) => {
  expect(() => parseListen(text)).toThrow('is no ADDRESS:PORT to listen on')
})

test.each([
  ['::1', 'https://[::1]:8443'],
  ['10.0.0.1', 'https://10.0.0.1:8443'],
  ['::', 'https://127.0.0.1:8443'],
  ['0.0.0.0', 'https://127.0.0.1:8443'],
])('a listener at %s is reached at %s', (host, url) => {
  expect(urlOf(host, 8443)).toBe(url)
})
