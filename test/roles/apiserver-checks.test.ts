import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { certificateCheck, trustCheck } from '../../src/roles/apiserver-checks.ts'
import { trustData, trustOf } from '../helpers/front-proxy.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'

const MINUTE = 60_000

test('E6: five minutes before its certificate ends, a server is no longer ready', async () => {
  const pair = await servingPair(await makeAuthority())
  const ends = new X509Certificate(pair.cert).validToDate.getTime()
  const at = (now: number) => certificateCheck({ current: () => ({ ...pair, ca: '' }) }, () => now).missing()
  expect(await at(ends - 6 * MINUTE)).toBeUndefined()
  expect(await at(ends - 4 * MINUTE)).toMatch(/the serving certificate ends at .*: replace its files/)
})

test('A4: what is missing before kube-apiserver can be believed is named', async () => {
  const trust = trustOf(undefined)
  expect(await trustCheck(trust).missing()).toMatch(/^no request-header CA: ConfigMap .* does not exist/)
  trust.set(trustData((await makeAuthority()).cert))
  expect(await trustCheck(trust).missing()).toBeUndefined()
})
