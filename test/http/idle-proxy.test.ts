import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ALICE, vmiOf } from '../helpers/api.ts'
import { createFakeClock, type FakeClock } from '../helpers/fake-clock.ts'
import { serveStreams, StreamGuest, streamOf, until, VMI_PATH } from '../helpers/stream-server.ts'

const IDLE_MS = 20_000

interface Proxy extends AsyncDisposable {
  port: number
  /** Cuts connections on which nothing has come for too long, by the clock. */
  cutIdle(): void
}

/** Stands between client and server, as load balancers do. */
async function openProxy(to: number, clock: FakeClock): Promise<Proxy> {
  const pairs = new Set<{ heardAt: number; cut: () => void }>()
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    const pair = { heardAt: clock.now(), cut: () => [near, far].forEach((socket) => socket.destroy()) }
    pairs.add(pair)
    for (const socket of [near, far]) {
      socket.on('error', () => {}).on('close', pair.cut)
      socket.on('data', (chunk) => {
        pair.heardAt = clock.now()
        ;(socket === near ? far : near).write(chunk)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cutIdle() {
      for (const pair of pairs) if (clock.now() - pair.heardAt >= IDLE_MS) pair.cut()
    },
    async [Symbol.asyncDispose]() {
      for (const { cut } of pairs) cut()
      server.close()
      await once(server, 'close')
    },
  }
}

test('an idle session is alive after 30 minutes behind a proxy that cuts idle connections at 20 s', async () => {
  const clock = createFakeClock()
  const guest = new StreamGuest()
  const { app, port } = await serveStreams([streamOf(async () => guest)], { vmi: vmiOf() }, { clock })
  await using proxy = await openProxy(port, clock)
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}${VMI_PATH}/test`, { headers: ALICE })
  await once(socket, 'open')
  const [peer] = app.websocketServer.clients
  let pongs = 0
  peer?.on('pong', () => (pongs += 1))
  for (let second = 5; second <= 30 * 60; second += 5) {
    clock.advance(5_000)
    // Each ping is answered before time goes on.
    await until(() => pongs >= Math.floor(second / 15))
    proxy.cutIdle()
  }
  guest.push('still here')
  expect(String((await once(socket, 'message'))[0])).toBe('still here')
  socket.terminate()
})
