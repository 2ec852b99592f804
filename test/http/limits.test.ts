import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { ServerOptions } from '../../src/http/server.ts'
import { systemClock, type Clock } from '../../src/lib/clock.ts'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import type { Stream } from '../../src/subresources/subresource.ts'
import {
  refusalOf,
  serveStreams,
  StreamGuest,
  streamOf,
  until,
  type StreamServer,
} from '../helpers/stream-server.ts'

const toClose: { close(): unknown }[] = []
afterEach(() => {
  for (const one of toClose.splice(0)) one.close()
})

async function serve(
  options: Partial<ServerOptions> = {},
  dialGuest: Stream['open'] = async () => new StreamGuest(),
): Promise<StreamServer> {
  return serveStreams([streamOf(dialGuest), streamOf(dialGuest, { name: 'other' })], {}, options)
}

async function join(server: StreamServer, user = 'alice', vmi = 'vm1'): Promise<WebSocket> {
  const socket = dialAs(server, user, vmi)
  await once(socket, 'open')
  return socket
}

function dialAs({ port }: StreamServer, user: string, vmi: string): WebSocket {
  const path = `/apis/subresources.kubevirt.io/v1/namespaces/ns1/virtualmachineinstances/${vmi}/test`
  return new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${user}` } })
}

async function expectRefused(socket: WebSocket): Promise<string> {
  const { code, headers, body } = await refusalOf(socket)
  expect([code, headers['retry-after'], body.reason]).toEqual([429, '5', 'TooManyRequests'])
  return body.message
}

describe('H4: the number of open streams is limited', () => {
  test('for each user', async () => {
    const server = await serve({ limits: { maxSessionsPerUser: 2 } })
    const first = await join(server, 'alice', 'a')
    await join(server, 'alice', 'b')
    expect(await expectRefused(dialAs(server, 'alice', 'c'))).toContain('you have 2')
    await join(server, 'bob', 'c')
    first.close(1000)
    await until(() => server.app.countStreams()['test'] === 2)
    await join(server, 'alice', 'c')
  })

  test('for each VM', async () => {
    const server = await serve({ limits: { maxSessionsPerVmi: 1 } })
    await join(server, 'alice', 'a')
    expect(await expectRefused(dialAs(server, 'bob', 'a'))).toContain('VirtualMachineInstance has 1')
    await join(server, 'bob', 'b')
  })

  test('for the server', async () => {
    const server = await serve({ limits: { maxSessions: 1 } })
    await join(server, 'alice', 'a')
    expect(await expectRefused(dialAs(server, 'bob', 'b'))).toContain('server has 1')
  })

  test('by default', async () => {
    const server = await serve()
    const all = Array.from({ length: 65 }, () => dialAs(server, 'alice', 'a'))
    const codes = await Promise.all(
      all.map((socket) => {
        socket.on('error', () => {})
        const refusal = once(socket, 'unexpected-response').then(([, response]) => response.statusCode)
        return Promise.race([once(socket, 'open').then(() => 101), refusal])
      }),
    )
    expect(codes.filter((code) => code === 101)).toHaveLength(64)
    expect(codes.filter((code) => code === 429)).toHaveLength(1)
  })

  test('also while they are being dialled, and no place is lost by a dial that fails', async () => {
    const go = Promise.withResolvers<void>()
    const server = await serve({ limits: { maxSessions: 3 } }, async () => {
      await go.promise
      throw serviceUnavailable('no')
    })
    const dialling = Array.from({ length: 3 }, () => refusalOf(dialAs(server, 'alice', 'a')))
    await until(() => server.app.countStreams()['test'] === 3)
    await expectRefused(dialAs(server, 'bob', 'b'))
    go.resolve()
    expect((await Promise.all(dialling)).map(({ code }) => code)).toEqual([503, 503, 503])
    expect(server.app.countStreams()).toEqual({})
  })

  test('and counted by kind', async () => {
    const server = await serve()
    const sockets = [await join(server), await join(server), server.dial('/other')]
    await until(() => sockets.every(({ readyState }) => readyState === WebSocket.OPEN))
    expect(server.app.countStreams()).toEqual({ test: 2, other: 1 })
    for (const socket of sockets) socket.terminate()
    await until(() => Object.keys(server.app.countStreams()).length === 0)
  })
})

test('H4: a stream that is opened and closed a thousand times leaves nothing behind', async () => {
  const guests = new Set<StreamGuest>()
  const server = await serve({}, async () => {
    const guest = new StreamGuest()
    guests.add(guest)
    guest.once('close', () => guests.delete(guest))
    return guest
  })
  for (let round = 0; round < 50; round += 1) {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => join(server)))
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.terminate()
      else socket.close(1000)
    }
    await Promise.all(sockets.map((socket) => until(() => socket.readyState === WebSocket.CLOSED)))
  }
  await until(() => guests.size === 0)
  expect(server.app.countStreams()).toEqual({})
  expect(server.app.websocketServer.clients.size).toBe(0)
})

/** A clock whose timers run when they are told to; it stands still. */
function manualClock(): Clock & { fire(): void } {
  const timers = new Set<() => void>()
  return {
    now: () => systemClock.now(),
    after(_delayMs, run) {
      timers.add(run)
      return { [Symbol.dispose]: () => void timers.delete(run) }
    },
    fire() {
      const due = [...timers]
      timers.clear()
      for (const run of due) run()
    },
  }
}

/** Stands between client and server; from `freeze` on it swallows everything, as a network that is gone does. */
async function proxyTo(port: number): Promise<{ port: number; freeze(): void; close(): void }> {
  const sockets = new Set<Socket>()
  let isFrozen = false
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('data', (chunk) => void (isFrozen || to.write(chunk)))
      from.on('close', () => void (isFrozen || to.destroy()))
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const close = () => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    freeze: () => {
      isFrozen = true
    },
    close,
  }
}

describe('a peer that is only half there', () => {
  test('is let go after two pings without an answer, and the guest with it', async () => {
    const guest = new StreamGuest()
    const clock = manualClock()
    const server = await serve({ clock }, async () => guest)
    const proxy = await proxyTo(server.port)
    toClose.push(proxy)
    const socket = await join({ ...server, port: proxy.port })
    socket.on('error', () => {})
    for (let ping = 0; ping < 5; ping += 1) {
      clock.fire()
      await once(socket, 'ping')
      await sleep(20)
    }
    expect(guest.destroyed).toBe(false)
    proxy.freeze()
    clock.fire()
    await sleep(20)
    clock.fire()
    await sleep(20)
    expect(guest.destroyed).toBe(false)
    clock.fire()
    await until(() => guest.destroyed)
    await until(() => server.app.countStreams()['test'] === undefined)
  })

  test('is not taken for dead while it answers, for as long as the session is idle', async () => {
    const clock = manualClock()
    const server = await serve({ clock })
    const socket = await join(server)
    const [peer] = server.app.websocketServer.clients
    if (!peer) throw new Error('nobody is there')
    for (let ping = 0; ping < 200; ping += 1) {
      const answered = once(peer, 'pong')
      clock.fire()
      await answered
    }
    expect(socket.readyState).toBe(WebSocket.OPEN)
    socket.terminate()
    await until(() => server.app.countStreams()['test'] === undefined)
  })
})

test('a server that goes away takes no new stream, lets open ones go on for a while, and says why it ends them', async () => {
  const guest = new StreamGuest()
  const server = await serve({ limits: { drainMs: 400 } }, async () => guest)
  const socket = await join(server)
  const closed = once(socket, 'close')
  const startedAt = Date.now()
  const closing = server.app.close()
  await sleep(100)
  guest.push('still here')
  expect(String((await once(socket, 'message'))[0])).toBe('still here')
  const [code, reason] = await closed
  expect([code, String(reason)]).toEqual([1001, 'the server is going away; connect again'])
  expect(Date.now() - startedAt).toBeGreaterThan(300)
  await closing
  expect(guest.destroyed).toBe(true)
})
