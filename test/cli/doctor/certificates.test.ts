import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { createAuthority, issue, type KeyPair } from '../../../certs/issue.ts'
import { shownCertificate } from '../../../src/cli/doctor/shown-certificate.ts'
import { doctorOf, examine, refused, type Answers } from '../../helpers/doctor.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const made = new Date()
const authority = await createAuthority({ commonName: 'ours', now: made, days: 100 })
const stranger = await createAuthority({ commonName: 'somebody else', now: made, days: 100 })
const NAME = 'virt-api.kubevirt.svc'
const leafOf = (by: KeyPair, dnsNames = [NAME]) =>
  issue(by, { commonName: NAME, usage: 'server', dnsNames, now: made, days: 30 })
const leaf = await leafOf(authority)

const PEM = (text: string) => Buffer.from(text).toString('base64')
const caBundle = (text: string): Answers => ({
  'GET /apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io': {
    spec: { caBundle: PEM(text) },
  },
})
const SECRET = 'GET /api/v1/namespaces/kubevirt/secrets/kubevirt-virt-api-certs'
const secret = ({ cert }: KeyPair): Answers => ({ [SECRET]: { data: { 'tls.crt': PEM(cert) } } })

/** Looks `days` after everything was made. */
async function look(answers: Answers, days = 1) {
  const now = () => made.getTime() + days * DAY_MS
  return examine('certificates', doctorOf(answers, { now, shownCertificate }))
}

test('where pods do not answer, the Secret is held against caBundle', async () => {
  const findings = await look({ ...caBundle(stranger.cert + authority.cert), ...secret(leaf) })
  expect(findings.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
  expect(findings[1]?.message).toMatch(/in the Secret kubevirt-virt-api-certs lasts until/)
})

test.each<[string, Answers, number, RegExp]>([
  ['no caBundle', caBundle(''), 1, /no caBundle/],
  ['a caBundle that is none', caBundle('nothing'), 1, /holds no certificate/],
  [
    'a certificate of another authority',
    { ...caBundle(stranger.cert), ...secret(leaf) },
    1,
    /of no authority in caBundle/,
  ],
  [
    'a certificate for another name',
    { ...caBundle(authority.cert), ...secret(await leafOf(authority, ['elsewhere'])) },
    1,
    /not for virt-api\.kubevirt\.svc/,
  ],
  [
    'a certificate that has ended',
    { ...caBundle(authority.cert), ...secret(leaf) },
    31,
    /in the Secret .* ended on/,
  ],
  [
    'an authority that has ended',
    { ...caBundle(authority.cert), ...secret(leaf) },
    101,
    /authority in caBundle ended on/,
  ],
])('%s is an error', async (_what, answers, days, message) => {
  const findings = await look(answers, days)
  const errors = findings.filter(({ verdict }) => verdict === 'error')
  expect(errors.map((one) => one.message)).toContainEqual(expect.stringMatching(message))
})

test('a certificate that ends soon is a warning', async () => {
  const findings = await look({ ...caBundle(authority.cert), ...secret(leaf) }, 25)
  expect(findings.map(({ verdict }) => verdict)).toEqual(['ok', 'warning'])
})

test.each<[string, Answers, RegExp]>([
  ['forbidden', { [SECRET]: refused() }, /you may not read the Secret/],
  ['absent', {}, /has none/],
])('a Secret that is %s leaves it open', async (_how, answers, message) => {
  const findings = await look({ ...caBundle(authority.cert), ...answers })
  expect(findings[1]).toMatchObject({ verdict: 'skipped', message: expect.stringMatching(message) })
})

/** A replica that shows the pair, and what the API says of where it is. */
async function openReplica(pair: KeyPair): Promise<AsyncDisposable & { answers: Answers }> {
  const server = createServer({ cert: pair.cert, key: pair.key })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const slice = { endpoints: [{ addresses: ['127.0.0.1'] }], ports: [{ name: 'https', port }] }
  return {
    answers: { 'GET /apis/discovery.k8s.io/v1/namespaces/kubevirt/endpointslices': { items: [slice] } },
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

test('a replica that can be reached is asked itself', async () => {
  await using replica = await openReplica(leaf)
  const findings = await look({ ...caBundle(authority.cert), ...replica.answers })
  expect(findings.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
  expect(findings[1]?.message).toMatch(/shown at 127\.0\.0\.1:\d+ lasts until/)
})

test.each([
  ['another authority', stranger, [NAME]],
  ['another name', authority, ['elsewhere']],
])('a replica that shows a certificate of %s is an error', async (_what, by, names) => {
  await using replica = await openReplica(await leafOf(by, names))
  const findings = await look({ ...caBundle(authority.cert), ...secret(leaf), ...replica.answers })
  expect(findings[1]).toMatchObject({ verdict: 'error', message: expect.stringMatching(/is not believed/) })
})

test('nobody is waited for longer than the check may take', async () => {
  const shown = await shownCertificate(
    { host: '127.0.0.1', port: 1 },
    NAME,
    authority.cert,
    AbortSignal.abort(),
  )
  expect(shown).toHaveProperty('unreachable')
})
