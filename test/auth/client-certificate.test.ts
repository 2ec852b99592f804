import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthority, issue, type KeyPair, type LeafRequest } from '../../certs/issue.ts'
import { requireUser, unionAuthenticator } from '../../src/auth/authenticate.ts'
import { buildCertificateAuthenticator } from '../../src/auth/client-certificate.ts'

const now = new Date('2030-06-01T00:00:00Z')
const ca = await createAuthority({ commonName: 'test-ca', now, days: 100 })
const other = await createAuthority({ commonName: 'test-ca', now, days: 100 })

async function leaf(request: Partial<LeafRequest> = {}, by: KeyPair = ca): Promise<Uint8Array> {
  const { cert } = await issue(by, { commonName: 'jane', usage: 'client', now, days: 10, ...request })
  return new X509Certificate(cert).raw
}

function shown(clientCertificate?: Uint8Array, bearerToken?: string) {
  return {
    rawHeaders: [],
    connection: {},
    ...(clientCertificate && { clientCertificate }),
    ...(bearerToken !== undefined && { bearerToken }),
  }
}

const authenticator = buildCertificateAuthenticator(
  () => ca.cert,
  () => now,
)

test('the common name is the user, each organization a group', async () => {
  const certificate = await leaf({ organizations: ['dev', 'ops,CN=root'] })
  const user = await authenticator.authenticate(shown(certificate))
  expect(user?.name).toBe('jane')
  expect(user?.groups).toEqual(['dev', 'ops,CN=root'])
})

test.each<[string, Partial<LeafRequest>, KeyPair]>([
  ['of another authority with the same name', {}, other],
  ['that names our authority as its own and was signed by another', {}, { cert: ca.cert, key: other.key }],
  ['for servers', { usage: 'server' }, ca],
  ['that has expired', { now: new Date('2030-05-01T00:00:00Z') }, ca],
  ['that is not valid yet', { now: new Date('2030-06-02T00:00:00Z') }, ca],
  ['without a name', { commonName: '' }, ca],
])('a certificate %s says nothing', async (_case, request, by) => {
  expect(await authenticator.authenticate(shown(await leaf(request, by)))).toBeUndefined()
})

test('the certificate of an authority is no certificate of a client', async () => {
  expect(await authenticator.authenticate(shown(new X509Certificate(ca.cert).raw))).toBeUndefined()
})

test('expiry counts on a connection that was known before', async () => {
  let time = now
  const timed = buildCertificateAuthenticator(
    () => ca.cert,
    () => time,
  )
  const credentials = shown(await leaf())
  expect(await timed.authenticate(credentials)).toMatchObject({ name: 'jane' })
  time = new Date('2030-06-12T00:00:00Z')
  expect(await timed.authenticate(credentials)).toBeUndefined()
})

test('an authority that is withdrawn takes its connections along', async () => {
  let roots = other.cert + ca.cert
  const rooted = buildCertificateAuthenticator(
    () => roots,
    () => now,
  )
  const credentials = shown(await leaf())
  expect(await rooted.authenticate(credentials)).toMatchObject({ name: 'jane' })
  roots = other.cert
  expect(await rooted.authenticate(credentials)).toBeUndefined()
})

test('who is known is in system:authenticated', async () => {
  const user = await requireUser(unionAuthenticator([authenticator]), shown(await leaf()))
  expect(user.groups).toEqual(['system:authenticated'])
})

test.each([
  ['no credentials', shown(), 401],
  ['a certificate of a stranger', shown(await leaf({}, other)), 401],
  ['a token nobody knows', shown(undefined, 'x'), 401],
  ['a token nobody knows beside a certificate of a stranger', shown(await leaf({}, other), 'x'), 401],
])('%s: 401', async (_case, credentials, code) => {
  const union = unionAuthenticator([authenticator])
  await expect(requireUser(union, credentials)).rejects.toMatchObject({ code, reason: 'Unauthorized' })
})

test('where anonymous callers are let in, a wrong token still is not', async () => {
  const union = unionAuthenticator([authenticator])
  expect(await requireUser(union, shown(), { allowAnonymous: true })).toEqual({
    name: 'system:anonymous',
    groups: ['system:unauthenticated'],
  })
  await expect(requireUser(union, shown(undefined, 'x'), { allowAnonymous: true })).rejects.toMatchObject({
    code: 401,
  })
})
