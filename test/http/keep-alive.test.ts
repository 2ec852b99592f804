import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { apiOf } from '../helpers/api.ts'
import { rawClient } from '../helpers/front-proxy.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'

test('H4: a connection that asks again and again gathers no listeners', async () => {
  const authority = await makeAuthority()
  const { app } = apiOf({}, { tls: await servingPair(authority) })
  app.get('/open', { config: { access: 'open' } }, async () => 'open')
  let socket: TLSSocket | undefined
  app.server.on('secureConnection', (opened: TLSSocket) => (socket = opened))
  await app.listen({ port: 0, host: '127.0.0.1' })
  // It listens on a port, not on a socket in the file system.
  const { port } = app.server.address() as AddressInfo
  const client = await rawClient(port, { ca: authority.cert })
  const countAfter = async (requests: number): Promise<number | undefined> => {
    for (let n = 0; n < requests; n += 1) await client.ask('GET', '/open', [])
    return socket?.listenerCount('close')
  }
  const few = await countAfter(2)
  expect(few).toBeGreaterThan(0)
  expect(await countAfter(20)).toBe(few)
  client.socket.destroy()
  await app.close()
})
