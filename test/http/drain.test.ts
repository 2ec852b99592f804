import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { ServerOptions } from '../../src/http/server.ts'
import { ALICE, vmiOf } from '../helpers/api.ts'
import { fastClock } from '../helpers/fake-worker.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'
import { refusalOf, serveStreams, StreamGuest, streamOf, VMI_PATH } from '../helpers/stream-server.ts'

let authority: TestAuthority
beforeAll(async () => {
  authority = await makeAuthority()
})

test('C9: who was let in before the server began to drain, and comes to dial then, gets no seat', async () => {
  const asked = Promise.withResolvers<void>()
  const decided = Promise.withResolvers<void>()
  let dialled = 0
  const stream = streamOf(async () => {
    dialled += 1
    return new StreamGuest()
  })
  const review = async ({ name }: { name: string }) => {
    if (name === 'late') {
      asked.resolve()
      await decided.promise
    }
    return { allowed: true, reason: '' }
  }
  const options: Partial<ServerOptions> = { limits: { drainMs: 2000 }, authorizer: { review } }
  const server = await serveStreams([stream], { vmi: vmiOf() }, options)
  const first = server.dial('/test')
  await once(first, 'open')
  const late = server.dial('/test', undefined, { headers: { authorization: 'Bearer late' } })
  const refused = refusalOf(late)
  await asked.promise
  const closing = server.app.close()
  await expect.poll(() => server.app.isClosing()).toBe(true)
  decided.resolve()
  expect((await refused).code).toBe(503)
  expect(dialled).toBe(1)
  first.close()
  await closing
})

describe.each(['ws', 'wss'])('while a server drains for a minute, over %s', (scheme) => {
  async function serve(guest: StreamGuest) {
    const options: Partial<ServerOptions> = {
      // The minute takes three seconds.
      clock: fastClock(20),
      limits: { drainMs: 60_000 },
      ...(scheme === 'wss' && { tls: await servingPair(authority) }),
    }
    const { app, port } = await serveStreams([streamOf(async () => guest)], { vmi: vmiOf() }, options)
    const url = `${scheme}://127.0.0.1:${port}${VMI_PATH}/test`
    const socket = new WebSocket(url, { headers: ALICE, ca: authority.cert })
    await once(socket, 'open')
    return { app, socket }
  }

  test('a stream goes on, and is told when the minute is over', async () => {
    const guest = new StreamGuest()
    const { app, socket } = await serve(guest)
    const closed = once(socket, 'close')
    const closing = app.close()
    await sleep(1500)
    guest.push('still here')
    expect(String((await once(socket, 'message'))[0])).toBe('still here')
    const [code, reason] = await closed
    expect([code, String(reason)]).toEqual([1001, 'the server is going away; connect again'])
    await closing
    expect(guest.destroyed).toBe(true)
  })

  test('the server is gone as soon as the last stream has ended', async () => {
    const { app, socket } = await serve(new StreamGuest())
    const startedAt = Date.now()
    const closing = app.close()
    await sleep(200)
    socket.close()
    await closing
    expect(Date.now() - startedAt).toBeLessThan(1500)
  })
})
