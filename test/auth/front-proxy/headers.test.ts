import { expect, test } from 'vitest'
import { readIdentity } from '../../../src/auth/front-proxy/headers.ts'
import type { User } from '../../../src/auth/access.ts'

const names = {
  user: ['x-remote-user'],
  group: ['x-remote-group'],
  uid: ['x-remote-uid'],
  extraPrefixes: ['x-remote-extra-'],
}

/** As Node hands out what came over the wire in UTF-8. */
const onWire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

test.each<[string, string[], User | undefined]>([
  ['a user alone, which is in no group', ['X-Remote-User', 'a'], { name: 'a', groups: [] }],
  ['names of headers in any spelling', ['x-REMOTE-user', 'a'], { name: 'a', groups: [] }],
  [
    'groups in order, commas and all',
    ['X-Remote-Group', 'b,c', 'X-Remote-User', 'a', 'X-Remote-Group', 'a'],
    { name: 'a', groups: ['b,c', 'a'] },
  ],
  ['the UID', ['X-Remote-User', 'a', 'X-Remote-Uid', 'u'], { name: 'a', groups: [], uid: 'u' }],
  [
    'extra keys in lower case, decoded once, all values',
    [
      'X-Remote-User',
      'a',
      'X-Remote-Extra-Authentication.Kubernetes.io%2FCredential-Id',
      'JTI=1',
      'x-remote-extra-authentication.kubernetes.io%2fcredential-id',
      'JTI=2',
      'X-Remote-Extra-A%252fb',
      '1',
    ],
    {
      name: 'a',
      groups: [],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1', 'JTI=2'], 'a%2fb': ['1'] },
    },
  ],
  [
    'an extra key that cannot be decoded, as it is',
    ['X-Remote-User', 'a', 'X-Remote-Extra-%zz', '1'],
    { name: 'a', groups: [], extra: { '%zz': ['1'] } },
  ],
  ['a name in UTF-8', ['X-Remote-User', onWire('jörg-日')], { name: 'jörg-日', groups: [] }],
  ['nobody where there is no user', ['X-Remote-Group', 'system:masters'], undefined],
  ['nobody where the user is empty', ['X-Remote-User', ''], undefined],
  ['nobody where a header is called differently', ['X-Remote-Users', 'a'], undefined],
])('reads %s', (_case, raw, expected) => {
  expect(readIdentity(raw, names)).toEqual(expected)
})

test.each([
  ['user', ['X-Remote-User', 'a', 'X-Remote-User', 'b']],
  ['UID', ['X-Remote-User', 'a', 'X-Remote-Uid', 'u', 'X-Remote-Uid', 'v']],
])('a second %s is refused', (_case, raw) => {
  expect(() => readIdentity(raw, names)).toThrow(expect.objectContaining({ code: 401 }))
})

test('the first configured header that is there counts', () => {
  const two = { ...names, user: ['x-first', 'x-second'], group: ['g-first', 'g-second'] }
  const raw = ['X-Second', 'b', 'X-Remote-User', 'c', 'G-Second', '2', 'X-First', 'a', 'G-First', '1']
  expect(readIdentity(raw, two)).toEqual({ name: 'a', groups: ['1'] })
  expect(readIdentity(raw.slice(0, 6), two)).toEqual({ name: 'b', groups: ['2'] })
})

test('an extra key may be __proto__ and stays a key', () => {
  const user = readIdentity(['X-Remote-User', 'a', 'X-Remote-Extra-__proto__', 'polluted'], names)
  expect(Object.keys(user?.extra ?? {})).toEqual(['__proto__'])
  expect(({} as { polluted?: string }).polluted).toBeUndefined()
})
