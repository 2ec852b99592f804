import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { roleUri } from '../../certs/roles.ts'
import { openClusterNodes, type ClusterNodes } from '../../src/roles/cluster-nodes.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { memoryLog } from '../helpers/api.ts'
import { makeAuthority, type TestAuthority } from '../helpers/pki.ts'
import { RecordingWorker } from '../helpers/recording-worker.ts'
import { eventually } from '../helpers/server.ts'

const CONTROLLER = roleUri({ role: 'controller' })

let stack: AsyncDisposableStack
let dir: string
let authority: TestAuthority
let log: ReturnType<typeof memoryLog>

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp('/tmp/virtgate-nodes-')
  stack.defer(() => rm(dir, { recursive: true }))
  authority = await makeAuthority()
  log = memoryLog()
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
  const tls = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key'), ca: join(dir, 'ca.crt') }
  const { signal } = new AbortController()
  return stack.use(await openClusterNodes({ node: [], ...given, tls, log, signal }))
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
    log.lines.some(({ level, text }) => level === 'error' && text.includes('file of nodes')),
  )
  expect(directory.ready().sort()).toEqual(['a', 'b'])

  const elsewhere = await serve('a')
  await writeList({ a: elsewhere })
  await eventually('b is gone', 15_000, async () => !directory.ready().includes('b'))
  await eventually('a is at its new place', 15_000, async () => directory.find('a') !== undefined)
  expect(directory.find('a')).not.toBe(before)
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
  ['names no worker', {}, 'no worker is named'],
  ['names them in both ways', { node: ['a=h:1'], nodes: '/nodes.yaml' }, 'not both'],
  ['names one twice', { node: ['a=h:1', 'a=h:2'] }, 'the node a is named twice'],
  ['names a file that is not there', { nodes: '/nowhere/nodes.yaml' }, '/nowhere/nodes.yaml'],
])('a start is refused that %s', async (_what, given, why) => {
  await expect(open(given)).rejects.toThrow(why)
})
