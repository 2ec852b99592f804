import { beforeAll, expect, test } from 'vitest'
import type { KeyPair } from '../../../certs/issue.ts'
import type { BackupOptions } from '../../../src/rpc/actions.ts'
import { formatTarget, readExportTarget } from '../../../src/worker/backup/export-target.ts'
import { makeAuthority } from '../../helpers/pki.ts'

let ca: string
let pair: KeyPair
let otherKey: string
beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.cert
  pair = await authority.issue({ usage: 'client' })
  otherKey = (await authority.issue({ usage: 'client' })).key
})

const good = (more: BackupOptions = {}): BackupOptions => ({
  exportServerAddr: 'export.ns1.svc:8443',
  backupCert: pair.cert,
  backupKey: pair.key,
  caCert: ca,
  ...more,
})
const base64 = (text: string) => Buffer.from(text).toString('base64')

test.each([
  ['export.ns1.svc:8443', undefined, { host: 'export.ns1.svc', port: 8443, serverName: 'export.ns1.svc' }],
  ['10.0.0.1:1', 'export', { host: '10.0.0.1', port: 1, serverName: 'export' }],
  ['[fd00::1]:65535', undefined, { host: 'fd00::1', port: 65_535, serverName: 'fd00::1' }],
])('the address %s with the name %s is read', (exportServerAddr, exportServerName, expected) => {
  const target = readExportTarget(good({ exportServerAddr, ...(exportServerName && { exportServerName }) }))
  expect(target).toMatchObject(expected)
  expect(formatTarget(target)).toBe(exportServerAddr)
})

test('certificates and key may be in base64, as Go writes bytes', () => {
  const target = readExportTarget(
    good({ backupCert: base64(pair.cert), backupKey: base64(pair.key), caCert: base64(ca) }),
  )
  expect(target).toMatchObject({ ca, cert: pair.cert, key: pair.key })
})

test.each<[string, () => BackupOptions, string]>([
  ['no address', () => good({ exportServerAddr: '' }), 'exportServerAddr'],
  ['no port', () => good({ exportServerAddr: 'export' }), 'exportServerAddr'],
  ['a port that is none', () => good({ exportServerAddr: 'export:65536' }), 'exportServerAddr'],
  ['a URL', () => good({ exportServerAddr: 'https://export:1' }), 'exportServerAddr'],
  ['a path', () => good({ exportServerAddr: '/run/x.sock' }), 'exportServerAddr'],
  ['no authority', () => good({ caCert: '' }), 'caCert is missing'],
  ['no certificate', () => good({ backupCert: '' }), 'backupCert is missing'],
  ['no key', () => good({ backupKey: '' }), 'backupKey is missing'],
  ['an authority that is no PEM', () => good({ caCert: 'x' }), 'caCert is no PEM'],
  ['a key for a certificate', () => good({ backupCert: pair.key }), 'backupCert is no certificate'],
  ["another certificate's key", () => good({ backupKey: otherKey }), 'backupKey is not the key'],
  ['a broken key', () => good({ backupKey: '-----BEGIN PRIVATE KEY-----\nx' }), 'backupKey is not the key'],
  ['a very long one', () => good({ caCert: ca + ' '.repeat(70_000) }), 'caCert has more than'],
])('an export with %s is refused with 400, without a word of the key', (_what, options, words) => {
  const refusal = expect.objectContaining({ code: 400, message: expect.stringContaining(words) })
  expect(() => readExportTarget(options())).toThrow(refusal)
})
