import { SignJWT, UnsecuredJWT } from 'jose'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKey } from '../../certs/issue.ts'
import { requireUser, unionAuthenticator } from '../../src/auth/authenticate.ts'
import {
  buildServiceAccountTokens,
  buildTokenAuthenticator,
  DEFAULT_ISSUER,
} from '../../src/auth/service-account-tokens.ts'
import { buildTokenRequest } from '../../src/auth/reviews/token-request.ts'
import { SERVICE_ACCOUNTS } from '../../src/kinds/table.ts'
import { handClock } from './fixtures.ts'
import { openMemoryStore } from './memory-store.ts'

const privateKey = await createKey()
const draft = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'dev', name: 'robot' } }

async function open() {
  const accounts = openMemoryStore()
  const account = await accounts.create(SERVICE_ACCOUNTS, draft)
  const clock = handClock()
  const tokens = buildServiceAccountTokens({ privateKey, accounts, clock })
  const authenticator = unionAuthenticator([buildTokenAuthenticator(tokens)])
  const ask = (bearerToken: string) =>
    requireUser(authenticator, { bearerToken, rawHeaders: [], connection: {} })
  return { accounts, account, clock, tokens, ask, request: buildTokenRequest(tokens, accounts) }
}

test('a token stands for its service account', async () => {
  const { account, tokens, ask } = await open()
  const { token, expirationTimestamp } = await tokens.issue(account, [DEFAULT_ISSUER], 600)
  expect(expirationTimestamp).toBe('2030-01-01T00:10:00Z')
  expect(await ask(token)).toMatchObject({
    name: 'system:serviceaccount:dev:robot',
    uid: account.metadata.uid,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:dev', 'system:authenticated'],
  })
})

test('it ends with its time, with its account, and with the account of that UID', async () => {
  const { accounts, account, clock, tokens, ask } = await open()
  const { token } = await tokens.issue(account, [DEFAULT_ISSUER], 600)
  clock.set(clock.now() + 601_000)
  await expect(ask(token)).rejects.toMatchObject({ code: 401 })
  clock.set(clock.now() - 601_000)
  await accounts.delete(SERVICE_ACCOUNTS, 'dev', 'robot')
  await expect(ask(token)).rejects.toMatchObject({ code: 401 })
  await accounts.create(SERVICE_ACCOUNTS, draft)
  await expect(ask(token)).rejects.toMatchObject({ code: 401 })
})

test('a token for another audience is good there alone', async () => {
  const { account, tokens, ask } = await open()
  const { token } = await tokens.issue(account, ['vault'], 600)
  await expect(ask(token)).rejects.toMatchObject({ code: 401 })
  expect(await tokens.read(token, ['vault', 'other'])).toMatchObject({ audiences: ['vault'] })
})

test('tokens that are none of ours, or were touched, let nobody in', async () => {
  const { account, clock, tokens, ask } = await open()
  const { token } = await tokens.issue(account, [DEFAULT_ISSUER], 600)
  const [head, body, signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(body ?? '', 'base64url').toString())
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:dev:root' }))
  const sign = (alg: string, key: Parameters<SignJWT['sign']>[0], more = {}) =>
    new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg }).sign(key)
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
  const { exp: _exp, ...endless } = claims
  const bad: Record<string, string> = {
    'no JWT': 'abc',
    'claims changed': [head, forged.toString('base64url'), signature].join('.'),
    'no signature': new UnsecuredJWT(claims).encode(),
    'another key': await sign('ES256', createPrivateKey(await createKey())),
    'the public key as a secret': await sign('HS256', Buffer.from(publicPem)),
    'another issuer': await sign('ES256', createPrivateKey(privateKey), { iss: 'https://elsewhere' }),
    'a subject that is not the account': await sign('ES256', createPrivateKey(privateKey), {
      sub: 'system:serviceaccount:dev:root',
    }),
    'not valid yet': await sign('ES256', createPrivateKey(privateKey), { nbf: clock.now() / 1000 + 60 }),
    'no end': await new SignJWT(endless)
      .setProtectedHeader({ alg: 'ES256' })
      .sign(createPrivateKey(privateKey)),
  }
  const answers = await Promise.all(
    Object.entries(bad).map(async ([name, wrong]) => [name, await ask(wrong).catch((error) => error.code)]),
  )
  expect(answers).toEqual(Object.keys(bad).map((name) => [name, 401]))
})

test('a token request is answered with a token', async () => {
  const { request, ask } = await open()
  const answer = await request('dev', 'robot', { kind: 'TokenRequest', spec: {} })
  expect(answer).toMatchObject({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [DEFAULT_ISSUER], expirationSeconds: 3600 },
    status: { token: expect.any(String), expirationTimestamp: '2030-01-01T01:00:00Z' },
  })
  const { token } = (answer as { status: { token: string } }).status
  expect(await ask(token)).toMatchObject({ name: 'system:serviceaccount:dev:robot' })
})

test.each([
  ['an account that is not there', 'nobody', {}, 404],
  ['too short a time', 'robot', { expirationSeconds: 599 }, 422],
  ['half a second', 'robot', { expirationSeconds: 600.5 }, 422],
  ['audiences that are no list', 'robot', { audiences: 'vault' }, 422],
  ['a bound object', 'robot', { boundObjectRef: { kind: 'Pod', name: 'x' } }, 422],
])('a token request for %s is refused', async (_case, name, spec, code) => {
  const { request } = await open()
  await expect(request('dev', name, { kind: 'TokenRequest', spec })).rejects.toMatchObject({ code })
})
