import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { certificateSource } from '../../src/metrics/certificates.ts'
import { makeAuthority } from '../helpers/pki.ts'

const SIGNAL = new AbortController().signal

// Security E6: `not_after` is that of the certificate which is in use.
test('until when a certificate is good is read anew, and one that is not there is left out', async () => {
  const authority = await makeAuthority()
  const leaves = [
    await authority.issue({ commonName: 'a', usage: 'server', days: 10 }),
    await authority.issue({ commonName: 'a', usage: 'server', days: 20 }),
  ]
  let present = leaves[0]
  const source = certificateSource({ serving: () => present?.cert, absent: () => undefined })
  const ends = async () => [...(await source.collect(SIGNAL))].map(({ labels, value }) => [labels, value])
  for (const leaf of leaves) {
    present = leaf
    const end = new X509Certificate(leaf.cert).validToDate.getTime() / 1000
    expect(await ends()).toEqual([[{ certificate: 'serving' }, end]])
  }
})
