import { X509Certificate } from 'node:crypto'
import { connect, createServer, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createAuthority } from '../../certs/issue.ts'
import { issueMigration, type MigrationSide } from '../../certs/migration.ts'

const UID = '0d7e3c55-0000-4000-8000-000000000003'

async function issueOne(uid = UID) {
  const authority = await createAuthority({ commonName: 'test', now: new Date(), days: 1 })
  return issueMigration(authority, uid, new Date())
}

test('E7: each side has a certificate of its own for an hour, and knows the name of the other', async () => {
  const { source, target } = await issueOne()
  const [client, server] = [source, target].map(({ cert }) => new X509Certificate(cert))
  expect(client?.subject).toBe(`CN=mig-${UID}-src`)
  expect(server?.subject).toBe(`CN=mig-${UID}-dst`)
  expect(server?.subjectAltName).toBe(`DNS:mig-${UID}-dst, DNS:mig-${UID}`)
  expect(client?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
  expect(server?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  expect([source.peerName, target.peerName]).toEqual([`mig-${UID}-dst`, `mig-${UID}-src`])
  const lifeMs = Date.parse(server?.validTo ?? '') - Date.now()
  expect(lifeMs).toBeGreaterThan(59 * 60_000)
  expect(lifeMs).toBeLessThanOrEqual(60 * 60_000)
})

/** The name that the server sees, or why there was no connection. */
async function shake(client: MigrationSide, server: MigrationSide, name: string): Promise<string> {
  const listening = createServer({ ...server, requestCert: true, rejectUnauthorized: true })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  // It listens on TCP.
  const { port } = listening.address() as AddressInfo
  const seen = new Promise<string>((resolve) => {
    listening.on('secureConnection', (socket: TLSSocket) =>
      resolve(String(socket.getPeerCertificate().subject.CN)),
    )
    listening.on('tlsClientError', (error) => resolve(error.message))
  })
  const socket = connect({ ...client, host: '127.0.0.1', port, servername: name })
  const failed = new Promise<string>((resolve) => socket.on('error', (error) => resolve(error.message)))
  try {
    return await Promise.race([seen, failed])
  } finally {
    socket.destroy()
    listening.close()
  }
}

test('E7: the two sides know each other, and a side of another authority is refused', async () => {
  const { source, target } = await issueOne()
  const other = await issueOne()
  expect(await shake(source, target, source.peerName)).toBe(target.peerName)
  expect(await shake(other.source, target, source.peerName)).not.toBe(target.peerName)
})
