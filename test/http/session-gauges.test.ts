/** Gauges of sessions return to 0, however their sessions end. Source: contract metrics.md, 9.4. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { roleUri } from '../../certs/roles.ts'
import { PING_INTERVAL_MS } from '../../src/http/liveness.ts'
import { openSessionSource } from '../../src/metrics/sessions.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { connectNode } from '../../src/rpc/client.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { ALICE, BASE, nodesOf, vmiOf } from '../helpers/api.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { makeAuthority } from '../helpers/pki.ts'
import { serveStreams } from '../helpers/stream-client.ts'
import { silentLog } from '../helpers/worker.ts'

const WORKER = roleUri({ role: 'worker', node: 'n1' })
const SERVER = roleUri({ role: 'apiserver' })
const KINDS: Record<string, string> = {
  console: 'kubevirt_console_active_connections',
  vnc: 'kubevirt_vnc_active_connections',
  usbredir: 'kubevirt_usbredir_active_connections',
  'portforward/22': 'kubevirt_portforward_active_tunnels',
}
const ONE = Object.fromEntries(Object.values(KINDS).map((name) => [name, 1]))
const NONE = Object.fromEntries(Object.values(KINDS).map((name) => [name, 0]))
const SOON = { timeout: 20_000 }

/** A worker whose guests echo, over TLS, and an API server in front of it. */
async function serve() {
  const stack = new AsyncDisposableStack()
  onTestFinished(() => stack.disposeAsync())
  const authority = await makeAuthority()
  const tlsOf = async (uri: string) => ({
    ...(await authority.issue({ usage: 'both', uris: [uri] })),
    ca: authority.cert,
  })
  const open = async () => new PassThrough()
  const echoes = { console: open, vnc: open, usbredir: open, portForward: open }
  // It is asked for nothing else.
  const actions = nodesOf(echoes).find('n1') as Actions
  const rpc = stack.use(
    buildRpcServer({ actions, tls: await tlsOf(WORKER), allowedUris: [SERVER], log: silentLog }),
  )
  const wires = new Set<Socket>()
  rpc.server.on('secureConnection', (socket) => wires.add(socket))
  const port = await rpc.listen(0, '127.0.0.1')
  const node = stack.use(
    connectNode({
      address: '127.0.0.1',
      port,
      tls: await tlsOf(SERVER),
      serverUri: WORKER,
      log: silentLog,
    }),
  )
  const clock = createFakeClock()
  const sessions = openSessionSource({ exists: async () => true, clock })
  const vmi = vmiOf('Running', {
    spec: { domain: { devices: { clientPassthrough: {} } } },
    status: { interfaces: [{ name: 'default', ipAddress: '10.0.2.2' }] },
  })
  const api = stack.use(
    await serveStreams(
      {
        vmi,
        node: {
          console: (...args) => node.console(...args),
          vnc: (...args) => node.vnc(...args),
          usbredir: (...args) => node.usbredir(...args),
          portForward: (...args) => node.portForward(...args),
        },
      },
      { sessionCounter: sessions, clock },
    ),
  )
  return {
    port: api.port,
    clock,
    rpc,
    /** The worker's process is gone: its kernel ends what it had open. */
    killWorker: () => wires.forEach((socket) => socket.destroy()),
    counts: async (): Promise<Record<string, number>> => {
      const readings = [...(await sessions.collect(new AbortController().signal))]
      return Object.fromEntries(
        readings.filter(({ name }) => name in ONE).map(({ name, value }) => [name, value]),
      )
    },
  }
}

const urlsAt = (port: number): string[] =>
  Object.keys(KINDS).map((kind) => `ws://127.0.0.1:${port}${BASE}/virtualmachineinstances/vm1/${kind}`)

/** One session of each kind, from this process. */
async function join(port: number): Promise<WebSocket[]> {
  const sockets = urlsAt(port).map((url) => new WebSocket(url, ['plain.kubevirt.io'], { headers: ALICE }))
  for (const socket of sockets) socket.on('error', () => {})
  await Promise.all(sockets.map((socket) => once(socket, 'open')))
  onTestFinished(() => sockets.forEach((socket) => socket.terminate()))
  return sockets
}

test('a client that is killed has no session any more, of whatever kind', async () => {
  const { port, counts } = await serve()
  const script = `
    import { WebSocket } from 'ws'
    for (const url of ${JSON.stringify(urlsAt(port))})
      new WebSocket(url, ['plain.kubevirt.io'], { headers: ${JSON.stringify(ALICE)} })`
  const client = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' })
  await expect.poll(counts, SOON).toEqual(ONE)
  client.kill('SIGKILL')
  await expect.poll(counts, SOON).toEqual(NONE)
})

test('a client whose network drops everything is given up when it has not answered two pings', async () => {
  const { port, counts, clock } = await serve()
  let isDropped = false
  const wire = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    const pass = (from: Socket, to: Socket): void => {
      from.on('data', (chunk) => void (isDropped || to.write(chunk)))
      from.on('error', () => {})
    }
    pass(near, far)
    pass(far, near)
    onTestFinished(() => [near, far].forEach((socket) => socket.destroy()))
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  onTestFinished(() => void wire.close())
  await join((wire.address() as AddressInfo).port)
  await expect.poll(counts, SOON).toEqual(ONE)
  isDropped = true
  clock.advance(2 * PING_INTERVAL_MS)
  expect(await counts()).toEqual(ONE)
  clock.advance(PING_INTERVAL_MS)
  await expect.poll(counts, SOON).toEqual(NONE)
})

test.each<[string, (server: Awaited<ReturnType<typeof serve>>) => void]>([
  ['is restarted', ({ rpc }) => void rpc[Symbol.asyncDispose]()],
  ['is killed', ({ killWorker }) => killWorker()],
])('a worker that %s takes the sessions with it', async (_what, end) => {
  const server = await serve()
  const sockets = await join(server.port)
  const closed = sockets.map((socket) => once(socket, 'close'))
  expect(await server.counts()).toEqual(ONE)
  end(server)
  await Promise.all(closed)
  await expect.poll(() => server.counts(), SOON).toEqual(NONE)
})

test('clients that say they are done have no session any more', async () => {
  const { port, counts } = await serve()
  const sockets = await join(port)
  expect(await counts()).toEqual(ONE)
  for (const socket of sockets) socket.close(1000)
  await expect.poll(counts, SOON).toEqual(NONE)
})
