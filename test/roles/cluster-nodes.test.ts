import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { roleUri } from '../../certs/roles.ts'
import { openClusterNodes, type ClusterNodes } from '../../src/roles/cluster-nodes.ts'
import { openWatchedTls } from '../../src/roles/watched-tls.ts'
import { registerWorker } from '../../src/roles/worker-registry.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { LEASES, NAMESPACES } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Store } from '../../src/store/store.ts'
import { memoryLog } from '../helpers/api.ts'
import { ADMIN, openRegistry } from '../helpers/object-registry.ts'
import { makeAuthority, type TestAuthority } from '../helpers/pki.ts'
import { RecordingWorker } from '../helpers/recording-worker.ts'
import { eventually } from '../helpers/server.ts'

const NAMESPACE = 'kubevirt'
const CONTROLLER = roleUri({ role: 'controller' })

let stack: AsyncDisposableStack
let dir: string
let authority: TestAuthority
let log: ReturnType<typeof memoryLog>
let store: Store

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp('/tmp/virtgate-nodes-')
  stack.defer(() => rm(dir, { recursive: true }))
  authority = await makeAuthority()
  log = memoryLog()
  const registry = await openRegistry()
  stack.defer(() => registry[Symbol.dispose]())
  store = registry.api.as(ADMIN)
  await store.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
  await writeCaller(authority)
})
afterEach(() => stack.disposeAsync())

/** Our own pair, as a controller. */
async function writeCaller(by: TestAuthority): Promise<void> {
  const { cert, key } = await by.issue({ usage: 'client', uris: [CONTROLLER] })
  await writeFile(join(dir, 'tls.key'), key)
  await writeFile(join(dir, 'tls.crt'), cert)
  await writeFile(join(dir, 'ca.crt'), authority.cert)
}

/** A worker on a free port; `callers` gets who has signed the certificate of each connection. */
async function serve(node: string, also: TestAuthority = authority, callers: string[] = []) {
  const pair = await authority.issue({ usage: 'server', uris: [roleUri({ role: 'worker', node })] })
  const tls = { ...pair, ca: `${authority.cert}\n${also.cert}` }
  const server = stack.use(
    buildRpcServer({ actions: new RecordingWorker(), tls, allowedUris: [CONTROLLER], log }),
  )
  server.server.on('secureConnection', (socket: TLSSocket) => {
    callers.push(socket.getPeerX509Certificate()?.issuer ?? 'nobody')
  })
  return `127.0.0.1:${await server.listen(0, '127.0.0.1')}`
}

async function open(given: { node?: string[]; nodes?: string }): Promise<ClusterNodes> {
  const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key'), ca: join(dir, 'ca.crt') }
  const tls = stack.use(await openWatchedTls(files, log))
  const { signal } = new AbortController()
  const rest = { tls, log, signal, store, namespace: NAMESPACE }
  return stack.use(await openClusterNodes({ node: [], ...given, ...rest }))
}

async function writeList(nodes: Record<string, string>): Promise<string> {
  const file = join(dir, 'nodes.yaml')
  const list = Object.entries(nodes).map(([name, address]) => ({ name, address }))
  await writeFile(file, JSON.stringify(list))
  return file
}

test('workers that answer are ready at once; one with the certificate of another node is not', async () => {
  const [a, b] = [await serve('a'), await serve('b')]
  const { directory } = await open({ node: [`a=${a}`, `b=${b}`, `c=${a}`] })
  expect(directory.ready().sort()).toEqual(['a', 'b'])
  expect(await directory.find('a')?.info()).toMatchObject({ rpcVersions: ['1'] })
  expect(directory.find('c')).toBeUndefined()
})

test('a changed file adds nodes and takes some away; a broken one changes nothing and is reported', async () => {
  const [a, b] = [await serve('a'), await serve('b')]
  const file = await writeList({ a })
  const { directory } = await open({ nodes: file })
  expect(directory.ready()).toEqual(['a'])
  const before = directory.find('a')

  await writeList({ a, b })
  await eventually('b is ready', 15_000, async () => directory.ready().includes('b'))
  expect(directory.find('a')).toBe(before)

  await writeFile(file, 'nodes: none')
  await eventually('the problem is reported', 15_000, async () =>
    log.lines.some(({ level, text }) => level === 'error' && text.includes('list of nodes')),
  )
  expect(directory.ready().sort()).toEqual(['a', 'b'])

  const elsewhere = await serve('a')
  await writeList({ a: elsewhere })
  await eventually('b is gone', 15_000, async () => !directory.ready().includes('b'))
  await eventually('a is at its new place', 15_000, async () => directory.find('a') !== undefined)
  expect(directory.find('a')).not.toBe(before)
})

async function enrol(name: string, address: string): Promise<void> {
  const [host = '', port] = address.split(':')
  await registerWorker(store, { namespace: NAMESPACE, name, host, port: Number(port) }, systemClock)
}

test('without any named, the registered workers are called, also those that come, move and go', async () => {
  await enrol('a', await serve('a'))
  const { directory } = await open({})
  expect(directory.ready()).toEqual(['a'])
  const before = directory.find('a')

  await enrol('b', await serve('b'))
  await eventually('b is ready', 15_000, async () => directory.ready().includes('b'))
  expect(directory.find('a')).toBe(before)

  await store.delete(LEASES, NAMESPACE, 'virtgate-worker-b')
  await eventually('b is gone', 15_000, async () => !directory.ready().includes('b'))

  await enrol('a', await serve('a'))
  await eventually(
    'a is at its new place',
    15_000,
    async () => ![undefined, before].includes(directory.find('a')),
  )
})

test('a Lease that names no worker is left out and reported', async () => {
  await enrol('a', await serve('a'))
  await enrol('b', 'nowhere:1')
  const annotations = { 'virtgate.io/address': 'nowhere' }
  const body = { metadata: { annotations } }
  await store.patch(LEASES, NAMESPACE, 'virtgate-worker-b', { type: 'merge', body })
  const { directory } = await open({})
  expect(directory.ready()).toEqual(['a'])
  expect(log.lines.filter(({ level }) => level === 'warn')).toEqual([
    expect.objectContaining({ text: 'the Lease of a worker cannot be read' }),
  ])
})

test('workers are called with a new certificate as soon as it stands in the files', async () => {
  const next = await makeAuthority('the next authority')
  const callers: string[] = []
  const a = await serve('a', next, callers)
  const { directory } = await open({ node: [`a=${a}`] })
  expect(callers).toEqual([expect.stringContaining('test authority')])
  await writeCaller(next)
  await eventually('the new certificate is used', 15_000, async () => {
    await directory.find('a')?.info()
    return callers.some((issuer) => issuer.includes('the next authority'))
  })
})

test.each([
  ['names them in both ways', { node: ['a=h:1'], nodes: '/nodes.yaml' }, 'not both'],
  ['names one twice', { node: ['a=h:1', 'a=h:2'] }, 'the node a is named twice'],
  ['names a file that is not there', { nodes: '/nowhere/nodes.yaml' }, '/nowhere/nodes.yaml'],
])('a start is refused that %s', async (_what, given, why) => {
  await expect(open(given)).rejects.toThrow(why)
})
