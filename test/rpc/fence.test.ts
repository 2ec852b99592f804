import { afterEach, beforeEach, expect, test } from 'vitest'
import { roleUri } from '../../certs/roles.ts'
import { NotLeading } from '../../src/lib/leadership.ts'
import { connectNode, type NodeClient } from '../../src/rpc/client.ts'
import { staleLeader, type Fence } from '../../src/rpc/fence.ts'
import { ROUTES } from '../../src/rpc/routes.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import { memoryLog } from '../helpers/api.ts'
import { makeAuthority } from '../helpers/pki.ts'
import { GUEST, RecordingWorker, syncOf } from '../helpers/recording-worker.ts'

const CONTROLLER = roleUri({ role: 'controller' })
const WORKER = roleUri({ role: 'worker', node: 'n1' })

let stack: AsyncDisposableStack
let worker: RecordingWorker
let admitted: number[]
let connect: (epoch?: () => number | undefined) => NodeClient

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  worker = new RecordingWorker()
  admitted = []
  const authority = await makeAuthority()
  const issue = async (uri: string) => ({
    ...(await authority.issue({ usage: 'both', uris: [uri] })),
    ca: authority.cert,
  })
  const fence: Fence = {
    proof: () => undefined,
    async admit(epoch) {
      const latest = Math.max(0, ...admitted)
      if (epoch < latest) throw staleLeader(epoch, latest)
      admitted.push(epoch)
    },
  }
  const log = memoryLog()
  const server = stack.use(
    buildRpcServer({ actions: worker, fence, tls: await issue(WORKER), allowedUris: [CONTROLLER], log }),
  )
  const port = await server.listen(0, '127.0.0.1')
  const tls = await issue(CONTROLLER)
  connect = (epoch) => {
    const leadership = epoch && { leadership: { epoch } }
    return stack.use(connectNode({ address: '127.0.0.1', port, tls, serverUri: WORKER, log, ...leadership }))
  }
})
afterEach(() => stack.disposeAsync())

const REF = { guest: GUEST, migrationUid: 'm1' }
const CHANGES: [string, (node: NodeClient) => Promise<unknown>][] = [
  ['sync', (node) => node.sync(syncOf(GUEST, ''))],
  ['remove', (node) => node.remove(GUEST, { graceSeconds: 0 })],
  ['cancelMigration', (node) => node.cancelMigration(REF)],
  ['releaseMigration', (node) => node.releaseMigration(REF, 1)],
  ['reclaimMigration', (node) => node.reclaimMigration(REF, 1)],
]

test.each(CHANGES)('%s is done for a leader, and not for one of an earlier term', async (name, change) => {
  await change(connect(() => 7))
  expect(worker.asked).toEqual([expect.arrayContaining([name])])
  await expect(change(connect(() => 6))).rejects.toMatchObject({ code: 412, reason: 'StaleLeader' })
  expect(worker.asked).toHaveLength(1)
})

test.each(CHANGES)('%s is not even asked for by who does not lead', async (_name, change) => {
  await expect(change(connect(() => undefined))).rejects.toThrow(NotLeading)
  expect([worker.asked, admitted]).toEqual([[], []])
})

test.each(CHANGES)('%s is refused to callers that never lead', async (_name, change) => {
  await expect(change(connect())).rejects.toMatchObject({ code: 400 })
  expect(worker.asked).toEqual([])
})

test('a question of a leader is taken note of; others may ask, too', async () => {
  await connect(() => 7).info()
  await connect(() => undefined).info()
  await connect().info()
  expect(admitted).toEqual([7])
  await expect(connect(() => 6).info()).rejects.toMatchObject({ reason: 'StaleLeader' })
})

test('everything that changes where guests run is for leaders', () => {
  const fenced = Object.entries(ROUTES).flatMap(([path, route]) =>
    route.kind === 'call' && route.isFenced ? [path] : [],
  )
  expect(fenced).toEqual([
    'PUT /w/v1/vmis/{uid}',
    'DELETE /w/v1/vmis/{uid}',
    'POST /w/v1/migrations/incoming',
    'POST /w/v1/migrations/outgoing',
    'POST /w/v1/migrations/cancel',
    'POST /w/v1/migrations/release',
    'POST /w/v1/migrations/reclaim',
  ])
})
