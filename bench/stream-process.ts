/**
 * The processes that `streams.ts` measures, each with the parts that its role has in an installation; started by it and
 * told what to be by a message.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, truncateSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { KeyPair } from '../certs/issue.ts'
import type { Vmi } from '../src/kinds/kubevirt.ts'
import { systemClock } from '../src/lib/clock.ts'
import type { Actions } from '../src/rpc/actions.ts'
import { connectNode } from '../src/rpc/client.ts'
import { buildRpcServer } from '../src/rpc/server.ts'
import type { RpcTls } from '../src/rpc/wire.ts'
import type { Worker } from '../src/worker/worker.ts'
import { apiOf, vmiOf } from '../test/helpers/api.ts'
import { fakeVmi, openFakeWorker } from '../test/helpers/fake-worker.ts'
import { makeHome, refOf, removeAll, requestFor, silentLog, WorkerWatch } from '../test/helpers/worker.ts'

/** What a process is to be. */
export type Role =
  /** An API server with the worker in it, and bare pipes to the same guest. */
  | { role: 'both'; serving: KeyPair }
  | { role: 'worker'; tls: RpcTls; callerUri: string }
  | { role: 'api'; serving: KeyPair; vmi: Vmi; port: number; tls: RpcTls; workerUri: string }

/** What it says once it serves: its ports by what they lead to. */
export interface Serving {
  ports: Record<string, number>
  vmi: Vmi
}

/** What it has used so far. */
export interface Usage {
  cpuMs: number
}

await using opened = new AsyncDisposableStack()
const said = once(process, 'message')
const role: Role = (await said)[0]
// Whoever has started us is done, or gone.
const over = once(process, 'disconnect')
const serving = await serve(role)
process.on('message', () => process.send?.(usage()))
process.send?.(serving)
await over
await opened.disposeAsync()
process.exit()

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1000 }
}

async function serve(given: Role): Promise<Serving> {
  switch (given.role) {
    case 'both': {
      const { worker, vmi, display } = await boot()
      const serial = await bootBare()
      const ports = {
        api: await serveApi(given.serving, worker, vmi),
        tls: await serveBareTls(given.serving, () => connect(display)),
        webSocket: await serveBareWebSocket(given.serving, () => connect(display)),
        serialTls: await serveBareTls(given.serving, () => connectSerial(serial)),
        serialWebSocket: await serveBareWebSocket(given.serving, () => connectSerial(serial)),
      }
      return { ports, vmi }
    }
    case 'worker': {
      const { worker, vmi } = await boot()
      const { tls, callerUri } = given
      const rpc = opened.use(
        buildRpcServer({ actions: worker, tls, allowedUris: [callerUri], log: silentLog }),
      )
      return { ports: { rpc: await rpc.listen(0, '127.0.0.1') }, vmi }
    }
    case 'api': {
      const { port, tls, workerUri: serverUri, vmi } = given
      const node = opened.use(connectNode({ address: '127.0.0.1', port, tls, serverUri, log: silentLog }))
      return { ports: { api: await serveApi(given.serving, node, vmi) }, vmi }
    }
  }
}

/** A worker with one guest, which sends and takes bytes as fast as it can; and the path of its display's socket. */
async function boot(): Promise<{ worker: Worker; vmi: Vmi; display: string }> {
  const home = opened.use(await makeHome())
  const worker = opened.use(await openFakeWorker(home, { clock: systemClock }))
  opened.defer(() => removeAll(worker))
  const vmi = fakeVmi(`volume-${randomUUID().slice(0, 4)}`)
  await using watch = new WorkerWatch(worker)
  await worker.sync(requestFor(vmi))
  await watch.report(refOf(vmi).uid, ({ phase }) => phase === 'Running')
  const names = readdirSync(home.runDir, { recursive: true, encoding: 'utf8' })
  const display = names.find((name) => name.includes('vnc'))
  if (display === undefined) throw new Error(`no display among ${names.join(', ')}`)
  return { worker, vmi, display: join(home.runDir, display) }
}

/** A serial port that no worker has to do with, and the log that QEMU writes of it. */
interface BareSerial {
  path: string
  log: string
}

/**
 * The same guest without a worker: QEMU lets one client at a time have its serial port, and the worker is that. It writes
 * its log as the other does, or bare pipes would be compared with a guest that has less to do.
 */
async function bootBare(): Promise<BareSerial> {
  const { root } = opened.use(await makeHome())
  const serial = { path: join(root, 'serial'), log: join(root, 'serial.log') }
  const program = fileURLToPath(new URL('../test/programs/fake-machine.ts', import.meta.url))
  const chardev = `socket,id=ser0,path=${serial.path},server=on,wait=off,logfile=${serial.log}`
  const guest = spawn(process.execPath, [program, '-name', 'guest=bare_volume', '-chardev', chardev], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  opened.defer(() => void guest.kill())
  while (!existsSync(serial.path)) await sleep(20)
  return serial
}

/** A client of it. What the one before has left in the log is dropped, as a worker does while it goes on. */
function connectSerial({ path, log }: BareSerial): Socket {
  truncateSync(log)
  return connect(path)
}

/** The API server, with TLS, which knows the guest as `vm1`. */
async function serveApi(pair: KeyPair, node: Pick<Actions, 'console' | 'vnc'>, vmi: Vmi): Promise<number> {
  const known = vmiOf()
  Object.assign(known.metadata, refOf(vmi), { name: 'vm1', namespace: 'ns1' })
  const actions = {
    console: node.console.bind(node),
    vnc: node.vnc.bind(node),
  }
  const { app } = apiOf({ vmi: { ...known, spec: vmi.spec }, node: actions }, { tls: pair })
  opened.defer(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return portOf(app.server)
}

/** What there is to be compared with: TLS and a socket, joined by Node and nothing else. */
async function serveBareTls(pair: KeyPair, dial: () => Socket): Promise<number> {
  return listen(createTlsServer(pair, (socket) => joinUp(socket, dial())))
}

/** The same with a WebSocket on top, joined as the manual of `ws` says. */
async function serveBareWebSocket(pair: KeyPair, dial: () => Socket): Promise<number> {
  const server = createHttpsServer(pair)
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
    joinUp(createWebSocketStream(socket), dial())
  })
  return listen(server)
}

/** Joins both until either ends. */
function joinUp(one: Duplex, other: Duplex): void {
  // Clients cut their connections off when they have what they wanted.
  pipeline(one, other, one).catch(() => {})
}

async function listen(server: Server): Promise<number> {
  opened.defer(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return portOf(server)
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return address.port
}
