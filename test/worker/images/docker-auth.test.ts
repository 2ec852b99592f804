import { expect, test } from 'vitest'
import { credentialsFor } from '../../../src/worker/images/docker-auth.ts'
import { parseReference } from '../../../src/worker/images/reference.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const auth = (name: string) => ({ auth: base64(`${name}:pass:word`) })

function usersFor(image: string, auths: Record<string, unknown>): string[] {
  const secrets = { mine: { '.dockerconfigjson': base64(JSON.stringify({ auths })) } }
  return credentialsFor(secrets, parseReference(image)).map(({ username }) => username)
}

test.each([
  ['a host', 'quay.io/a/b', 'quay.io', true],
  ['a URL', 'quay.io/a/b', 'https://quay.io', true],
  ['another host', 'quay.io/a/b', 'ghcr.io', false],
  ['a host that ends alike', 'evil-quay.io/a', 'quay.io', false],
  ['a subdomain', 'x.quay.io/a', 'quay.io', false],
  ['a star for a label', 'x.quay.io/a', '*.quay.io', true],
  ['a star for no label', 'quay.io/a', '*.quay.io', false],
  ['a star for two labels', 'x.y.quay.io/a', '*.quay.io', false],
  ['a star in a label', 'my-good.quay.io/a', '*-good.quay.io', true],
  ['a star in a label that differs', 'my-bad.quay.io/a', '*-good.quay.io', false],
  ['the same port', 'quay.io:5000/a', 'quay.io:5000', true],
  ['another port', 'quay.io:5000/a', 'quay.io', false],
  ['a path above', 'quay.io/team/a', 'quay.io/team', true],
  ['a path beside', 'quay.io/teams/a', 'quay.io/team', false],
  ["the hub's old address", 'debian', 'https://index.docker.io/v1/', true],
])('an entry with %s', (_what, image, place, matches) => {
  expect(usersFor(image, { [place]: auth('me') })).toEqual(matches ? ['me'] : [])
})

test('the most specific entry comes first', () => {
  const auths = { 'quay.io': auth('all'), 'quay.io/team/deep': auth('deep'), 'quay.io/team': auth('team') }
  expect(usersFor('quay.io/team/deep/image', auths)).toEqual(['deep', 'team', 'all'])
})

test('a password may have colons, and stand apart from the user', () => {
  const secrets = {
    one: { '.dockercfg': base64(JSON.stringify({ 'quay.io': auth('me') })) },
    two: { '.dockerconfigjson': base64('{"auths":{"quay.io":{"username":"you","password":"p"}}}') },
    three: { '.dockerconfigjson': base64('{"auths":{"quay.io":{"identitytoken":"refresh"}}}') },
    helper: { '.dockerconfigjson': base64('{"auths":{"quay.io":{}}}') },
  }
  expect(credentialsFor(secrets, parseReference('quay.io/a'))).toEqual([
    { username: 'me', password: 'pass:word' },
    { username: 'you', password: 'p' },
    { username: '', password: '', identityToken: 'refresh' },
  ])
})

test.each([
  ['another type of secret', { password: base64('hunter2') }],
  ['no JSON', { '.dockerconfigjson': base64('hunter2 is no JSON') }],
  ['a list', { '.dockerconfigjson': base64('["hunter2"]') }],
  ['no auths', { '.dockerconfigjson': base64('{"hunter2":1}') }],
  [
    'an auth without a colon',
    { '.dockerconfigjson': base64(`{"auths":{"q":{"auth":"${base64('hunter2')}"}}}`) },
  ],
])('a secret with %s is named, and its contents are not', (_what, data) => {
  const read = () => credentialsFor({ mine: data }, parseReference('quay.io/a'))
  expect(read).toThrow(/"mine"/)
  expect(read).not.toThrow(/hunter2/)
})
