/** How a client learns of the end of its console, whatever has ended it. Source: security C4, C9. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dialStream, type KubeStream } from '../../src/kube/stream.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, guestPids, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, paths } from '../helpers/vms.ts'

const NAME = 'ending'

requireQemu()('a console on a worker of its own', () => {
  let server: TestServer
  let stream: KubeStream

  const dial = async (): Promise<KubeStream> => {
    const opened = await dialStream(server.client.config, paths(NAME).onVmi('console'))
    opened.duplex.on('error', () => {}).resume()
    return opened
  }

  beforeEach(async () => {
    server = await startServer({ args: ['--workers', '1'] })
    await bootVm(server.client, NAME, { graceSeconds: 0 })
    await awaitPhase(server.client, NAME, 'Running')
    stream = await dial()
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
  })

  const workerPid = (): number => {
    const { stdout } = spawnSync('pgrep', ['-P', String(server.process.pid), '-f', ' worker --node '], {
      encoding: 'utf8',
    })
    return Number(stdout.split('\n')[0])
  }

  test.each([
    ['is killed', 'SIGKILL', 1011],
    ['is asked to end', 'SIGTERM', 1001],
  ] as const)(
    'ends with a reason when the worker %s, and can be opened again',
    async (_how, signal, code) => {
      process.kill(workerPid(), signal)
      expect(await stream.ended).toMatchObject({ code, reason: expect.stringMatching(/./) })
      stream = await eventually('another worker serves', 30_000, () => dial().catch(() => false as const))
      stream.duplex.write('\n')
      await once(stream.duplex, 'data')
    },
  )

  test('ends with a reason when the server is asked to end, which does not take long', async () => {
    const startedAt = Date.now()
    expect(await server.stop()).toBe(0)
    expect(await stream.ended).toMatchObject({ code: 1001, reason: expect.stringContaining('connect again') })
    expect(Date.now() - startedAt).toBeLessThan(5_000)
    expect(guestPids(server.data)).toHaveLength(1)
  })

  test('breaks off when the server is killed, and the guest runs on', async () => {
    await server.stop('SIGKILL')
    // Nobody is left who could say why.
    expect(await stream.ended).toMatchObject({ code: 1006 })
    expect(guestPids(server.data)).toHaveLength(1)
  })

  test('ends for a guest that is killed', async () => {
    for (const pid of guestPids(server.data)) process.kill(pid, 'SIGKILL')
    expect(await stream.ended).toMatchObject({ reason: expect.stringMatching(/guest/) })
  })

  test('of a client that is gone is written down as closed, and is free for the next one', async () => {
    stream.duplex.destroy()
    const closed = await eventually('the end is written down', 10_000, async () => {
      const lines = readFileSync(join(server.data, 'audit.log'), 'utf8')
      return lines.split('\n').find((line) => line.includes('console') && /"code":\s*100/.test(line))
    })
    expect(closed).toContain(NAME)
    await dial()
  })

  test('does not keep a server that ends waiting where the client does not read', async () => {
    const { host, port } = new URL(server.client.config.server)
    const token = await server.client.config.token()
    const socket = connectTls({ ...server.client.config.tls, host: '127.0.0.1', port: Number(port) })
    await once(socket, 'secureConnect')
    socket.on('error', () => {})
    socket.write(
      `GET ${paths(NAME).onVmi('console?mode=view')} HTTP/1.1\r\nHost: ${host}\r\n` +
        (token === undefined ? '' : `Authorization: Bearer ${token}\r\n`) +
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 101 /)
    socket.pause()
    const startedAt = Date.now()
    expect(await server.stop()).toBe(0)
    expect(Date.now() - startedAt).toBeLessThan(8_000)
    socket.destroy()
  })
})
