import { X509Certificate } from 'node:crypto'
import { createServer, connect, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { covers, isSignedBy, renewalTime, splitHosts, validityOf } from '../../certs/inspect.ts'
import { BACKDATE_MS, createAuthority, issue } from '../../certs/issue.ts'
import { roleUri } from '../../certs/roles.ts'

const now = new Date()
const ca = await createAuthority({ commonName: 'test-ca', now, days: 10 })

test('a leaf says who it is for, what for, and who signed it', async () => {
  const { cert } = await issue(ca, {
    commonName: 'jane',
    organizations: ['dev', 'ops, east'],
    dnsNames: ['api.example.org'],
    ipAddresses: ['127.0.0.1', '::1'],
    uris: ['spiffe://virtgate/controller'],
    usage: 'client',
    now,
    days: 2,
  })
  const leaf = new X509Certificate(cert)
  expect(leaf.toLegacyObject().subject).toEqual({ O: ['dev', 'ops, east'], CN: 'jane' })
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
  expect(leaf.ca).toBe(false)
  expect(isSignedBy(cert, ca.cert)).toBe(true)
  const names = {
    dnsNames: ['api.example.org'],
    ipAddresses: ['127.0.0.1', '::1'],
    uris: ['spiffe://virtgate/controller'],
  }
  expect(covers(cert, names)).toBe(true)
  expect(covers(cert, { dnsNames: ['other.example.org'] })).toBe(false)
  expect(covers(cert, { ipAddresses: ['127.0.0.2'] })).toBe(false)
  expect(covers(cert, { uris: ['spiffe://virtgate/control'] })).toBe(false)
})

test('a leaf does not outlive its authority, and is due after two thirds of its life', async () => {
  const { cert } = await issue(ca, { commonName: 'x', usage: 'server', now, days: 100 })
  const { notBefore, notAfter } = validityOf(cert)
  expect(notAfter).toBe(validityOf(ca.cert).notAfter)
  const madeAt = notBefore + BACKDATE_MS
  expect(renewalTime(cert)).toBe(madeAt + (notAfter - madeAt) * (2 / 3))
})

test('a renewed authority vouches for what the old one signed, and the other way round', async () => {
  const renewed = await createAuthority({ commonName: 'test-ca', now, days: 20, key: ca.key })
  const old = await issue(ca, { commonName: 'x', usage: 'server', now, days: 1 })
  const young = await issue(renewed, { commonName: 'x', usage: 'server', now, days: 1 })
  expect(renewed.cert).not.toBe(ca.cert)
  expect(isSignedBy(old.cert, renewed.cert)).toBe(true)
  expect(isSignedBy(young.cert, ca.cert)).toBe(true)
})

test('an authority of the same name with another key did not sign it', async () => {
  const impostor = await createAuthority({ commonName: 'test-ca', now, days: 10 })
  const { cert } = await issue(impostor, { commonName: 'x', usage: 'server', now, days: 1 })
  expect(isSignedBy(cert, ca.cert)).toBe(false)
})

test('what is no IP address is refused', async () => {
  const request = { commonName: 'x', usage: 'server' as const, ipAddresses: ['localhost'], now, days: 1 }
  await expect(issue(ca, request)).rejects.toThrow('"localhost" is no IP address')
})

test('hosts are told apart and taken once', () => {
  expect(splitHosts(['localhost', '[::1]', '127.0.0.1', '::1', 'localhost'])).toEqual({
    dnsNames: ['localhost'],
    ipAddresses: ['::1', '127.0.0.1'],
  })
})

test("a role's URI names the node", () => {
  expect(roleUri({ role: 'worker', node: 'node01' })).toBe('spiffe://virtgate/worker/node01')
  expect(roleUri({ role: 'controller' })).toBe('spiffe://virtgate/controller')
})

/** What a TLS server with these certificates makes of a client. */
async function shake(client: { cert: string; key: string }, servername: string): Promise<string> {
  const serving = await issue(ca, {
    commonName: 's',
    usage: 'server',
    dnsNames: ['good.example'],
    now,
    days: 1,
  })
  const server = createServer({ ...serving, ca: ca.cert, requestCert: true, minVersion: 'TLSv1.2' })
  const seen = once(server, 'secureConnection').then(([socket]: TLSSocket[]) =>
    socket ? String(socket.authorizationError ?? 'authorized') : 'none',
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const socket = connect({ port, host: '127.0.0.1', ca: ca.cert, servername, ...client })
  const refused = once(socket, 'error').then(([error]: Error[]) => error?.message ?? '')
  const tlsError = once(server, 'tlsClientError').then(([error]: Error[]) => error?.message ?? '')
  try {
    return await Promise.race([seen, refused, tlsError])
  } finally {
    socket.destroy()
    server.close()
  }
}

test('a client certificate is good for a handshake; a serving one, or a wrong host name, is not', async () => {
  const client = await issue(ca, { commonName: 'c', usage: 'client', now, days: 1 })
  const serving = await issue(ca, { commonName: 's', usage: 'server', now, days: 1 })
  expect(await shake(client, 'good.example')).toBe('authorized')
  expect(await shake(serving, 'good.example')).not.toBe('authorized')
  expect(await shake(client, 'other.example')).toContain('does not match certificate')
})
