import { beforeAll, expect, test } from 'vitest'
import { readTrust } from '../../../src/auth/front-proxy/trust.ts'
import { trustData } from '../../helpers/front-proxy.ts'
import { makeAuthority } from '../../helpers/pki.ts'

let ca: string
beforeAll(async () => {
  ca = (await makeAuthority()).cert
})

const read = (change: Record<string, string | undefined>) => readTrust({ data: trustData(ca, change) })

test('authorities, names and headers are read; headers in lower case', () => {
  const trust = read({
    'requestheader-client-ca-file': ca + ca,
    'requestheader-allowed-names': '["a","b"]',
    'requestheader-username-headers': '["X-My-User","x-other"]',
    'requestheader-uid-headers': '["X-My-Uid"]',
  })
  expect(trust.authorities).toHaveLength(2)
  expect(trust.allowedNames).toEqual(new Set(['a', 'b']))
  expect(trust.headers).toEqual({
    user: ['x-my-user', 'x-other'],
    group: ['x-remote-group'],
    uid: ['x-my-uid'],
    extraPrefixes: ['x-remote-extra-'],
  })
})

test('where no header is configured the usual ones count', () => {
  const { headers } = read({
    'requestheader-username-headers': undefined,
    'requestheader-group-headers': undefined,
    'requestheader-extra-headers-prefix': undefined,
    'requestheader-uid-headers': '[]',
  })
  expect(headers).toEqual({
    user: ['x-remote-user'],
    group: ['x-remote-group'],
    uid: ['x-remote-uid'],
    extraPrefixes: ['x-remote-extra-'],
  })
})

test('CE-5: an empty list of names lets every name of the authority pass', () => {
  expect(read({ 'requestheader-allowed-names': '[]' }).allowedNames).toBe('any')
})

test.each<[string, Record<string, string | undefined>, RegExp]>([
  [
    'without the authority',
    { 'requestheader-client-ca-file': undefined },
    /no key requestheader-client-ca-file/,
  ],
  ['whose authority is no PEM', { 'requestheader-client-ca-file': 'x' }, /holds no certificate/],
  [
    'whose authority is broken',
    { 'requestheader-client-ca-file': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
    /cannot be read/,
  ],
  ['without names', { 'requestheader-allowed-names': undefined }, /no key requestheader-allowed-names/],
  ['whose names are no JSON', { 'requestheader-allowed-names': 'front' }, /is no JSON/],
  ['whose names are no list', { 'requestheader-allowed-names': '"front"' }, /no JSON list of texts/],
  ['whose names are numbers', { 'requestheader-allowed-names': '[1]' }, /no JSON list of texts/],
  ['whose headers are no JSON', { 'requestheader-group-headers': '[' }, /is no JSON/],
  ['with an empty prefix', { 'requestheader-extra-headers-prefix': '[""]' }, /without a name/],
])('a ConfigMap %s makes nobody trusted', (_case, change, message) => {
  expect(() => read(change)).toThrow(message)
  expect(() => read(change)).toThrow(/no request-header CA/)
})

test('without the ConfigMap it is said which one and with which flags', () => {
  expect(() => readTrust(undefined)).toThrow(
    /kube-system\/extension-apiserver-authentication does not exist.*--requestheader-client-ca-file/,
  )
})
