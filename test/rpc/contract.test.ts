/** What callers may rely on, whether the worker is in the same process or across the wire. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { roleUri } from '../../certs/roles.ts'
import { conflict, StatusError } from '../../src/lib/errors.ts'
import { StreamEnded } from '../../src/lib/stream-end.ts'
import type { Actions, NodeUpdate } from '../../src/rpc/actions.ts'
import { connectNode, type NodeClient } from '../../src/rpc/client.ts'
import { connectInProcess } from '../../src/rpc/in-process.ts'
import { buildRpcServer } from '../../src/rpc/server.ts'
import type { RpcTls } from '../../src/rpc/wire.ts'
import { memoryLog } from '../helpers/api.ts'
import {
  AGENT_INFO,
  GUEST,
  INFO,
  PNG,
  READINGS,
  RecordingWorker,
  reportOf,
  syncOf,
} from '../helpers/recording-worker.ts'
import { makeAuthority } from '../helpers/pki.ts'

interface Setup {
  actions: Actions
  worker: RecordingWorker
  log: ReturnType<typeof memoryLog>
}

const WRITE = { mode: 'write', preserveSession: false, user: 'alice' } as const
const TRANSFER = {
  bandwidthBytes: 0,
  completionSecondsPerGiB: 150,
  progressSeconds: 150,
  maxDowntimeMs: 900,
  allowAutoConverge: true,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
}

const worker1 = roleUri({ role: 'worker', node: 'n1' })
const controller = roleUri({ role: 'controller' })
let workerTls: RpcTls
let controllerTls: RpcTls

beforeAll(async () => {
  const authority = await makeAuthority()
  const issue = async (uri: string): Promise<RpcTls> => ({
    ...(await authority.issue({ usage: 'both', uris: [uri] })),
    ca: authority.cert,
  })
  workerTls = await issue(worker1)
  controllerTls = await issue(controller)
})

function inProcess(): Setup & AsyncDisposable {
  const worker = new RecordingWorker()
  const log = memoryLog()
  return { worker, log, actions: connectInProcess(worker, log), async [Symbol.asyncDispose]() {} }
}

async function overTheWire(): Promise<Setup & AsyncDisposable> {
  const worker = new RecordingWorker()
  const log = memoryLog()
  const server = buildRpcServer({ actions: worker, tls: workerTls, allowedUris: [controller], log })
  const port = await server.listen(0, '127.0.0.1')
  const actions: NodeClient = connectNode({
    address: '127.0.0.1',
    port,
    tls: controllerTls,
    serverUri: worker1,
    log,
  })
  return {
    worker,
    log,
    actions,
    async [Symbol.asyncDispose]() {
      await actions[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

describe.each([
  ['in the same process', inProcess],
  ['across the wire', overTheWire],
])('a worker %s', (_where, open) => {
  let setup: Setup & AsyncDisposable
  beforeEach(async () => {
    setup = await open()
  })
  afterEach(async () => {
    await setup[Symbol.asyncDispose]()
  })

  test('says what it is', async () => {
    expect(await setup.actions.info()).toEqual(INFO)
  })

  test('says what its guests are like in figures', async () => {
    expect(await setup.actions.metrics()).toEqual(READINGS)
  })

  test('is handed a guest whole, and answers with a report', async () => {
    const request = syncOf(GUEST, 'c2VjcmV0')
    expect(await setup.actions.sync(request)).toEqual(reportOf(GUEST, 3))
    expect(setup.worker.asked).toEqual([['sync', request]])
    const [[, got] = []] = setup.worker.asked as unknown[][]
    expect(got).not.toBe(request)
  })

  test('is asked for each action by the guest it is for', async () => {
    const { actions, worker } = setup
    await actions.remove(GUEST, { graceSeconds: 30 })
    await actions.report(GUEST)
    await actions.pause(GUEST)
    await actions.unpause(GUEST)
    await actions.softreboot(GUEST)
    await actions.reset(GUEST)
    await actions.freeze(GUEST, { unfreezeSeconds: 5 })
    await actions.unfreeze(GUEST)
    await actions.sevInjectSecret(GUEST, { header: 'aA==', secret: 'cw==' })
    await actions.backup(GUEST, { cmd: 'Start', mode: 'Push', targetPath: '/b' })
    await actions.redefineCheckpoint(GUEST, { name: 'cp1', volumes: [{ volumeName: 'v' }] })
    expect(worker.asked).toEqual([
      ['remove', GUEST, { graceSeconds: 30 }],
      ['report', GUEST],
      ['pause', GUEST],
      ['unpause', GUEST],
      ['softreboot', GUEST],
      ['reset', GUEST],
      ['freeze', GUEST, { unfreezeSeconds: 5 }],
      ['unfreeze', GUEST],
      ['sevInjectSecret', GUEST, { header: 'aA==', secret: 'cw==' }],
      ['backup', GUEST, { cmd: 'Start', mode: 'Push', targetPath: '/b' }],
      ['redefineCheckpoint', GUEST, { name: 'cp1', volumes: [{ volumeName: 'v' }] }],
    ])
  })

  test('answers what it is asked about the guest', async () => {
    const { actions } = setup
    expect(await actions.agentInfo(GUEST)).toEqual(AGENT_INFO)
    expect((await actions.screenshot(GUEST, { moveCursor: true })).equals(PNG)).toBe(true)
    expect(await actions.sevPlatform(GUEST)).toEqual({ pdh: 'cGRo' })
    expect(await actions.sevMeasurement(GUEST)).toEqual({ measurement: 'bQ==' })
  })

  test('takes its part in a migration', async () => {
    const { actions, worker } = setup
    const ref = { guest: GUEST, migrationUid: 'm1' }
    const tls = { ca: 'ca', cert: 'cert', key: 'key', peerName: 'mig-m1-src' }
    const facts = await actions.migrationFacts(ref)
    expect(facts).toEqual({ form: 1, facts: { machine: 'pc-q35-7.2' } })
    const incoming = { ...ref, sync: syncOf(GUEST), facts, tls, network: 'fast' }
    const target = await actions.prepareIncoming(incoming)
    expect(target).toEqual({ address: '192.0.2.1', ports: { '40000': 49_152 } })
    const outgoing = { ...ref, epoch: 2, target, tls, options: TRANSFER }
    await actions.startOutgoing(outgoing)
    await actions.cancelMigration(ref)
    await actions.releaseMigration(ref, 3)
    await actions.reclaimMigration(ref, 4)
    expect(worker.asked).toEqual([
      ['migrationFacts', ref],
      ['prepareIncoming', incoming],
      ['startOutgoing', outgoing],
      ['cancelMigration', ref],
      ['releaseMigration', ref, 3],
      ['reclaimMigration', ref, 4],
    ])
  })

  test('is told what each stream is to be', async () => {
    const { actions, worker } = setup
    const log = { follow: true, timestamps: false, tailLines: 5, sinceTime: '2026-01-01T00:00:00Z' }
    const streams = [
      await actions.console(GUEST, { mode: 'view', preserveSession: true, user: 'bob' }),
      await actions.consoleLog(GUEST, log),
      await actions.usbredir(GUEST),
      await actions.vsock(GUEST, { port: 5000, tls: true }),
      await actions.guestExec(GUEST, { command: ['ls', '-l'], timeoutSeconds: 3 }),
      await actions.portForward(GUEST, { port: 22, protocol: 'tcp' }),
    ]
    expect(worker.asked).toEqual([
      ['console', GUEST, { mode: 'view', preserveSession: true, user: 'bob' }],
      ['consoleLog', GUEST, log],
      ['usbredir', GUEST],
      ['vsock', GUEST, { port: 5000, tls: true }],
      ['guestExec', GUEST, { command: ['ls', '-l'], timeoutSeconds: 3 }],
      ['portForward', GUEST, { port: 22, protocol: 'tcp' }],
    ])
    for (const stream of streams) stream.destroy()
  })

  test('has a forwarded port receive after it has sent all', async () => {
    const got = Promise.withResolvers<Buffer>()
    setup.worker.makeStream = () => {
      const chunks: Buffer[] = []
      const guest = new Duplex({
        allowHalfOpen: true,
        read() {},
        write: (chunk: Buffer, _encoding, done) => {
          chunks.push(chunk)
          done()
        },
        final: (done) => {
          got.resolve(Buffer.concat(chunks))
          done()
        },
      })
      guest.push('all there is')
      guest.push(null)
      return guest
    }
    const stream = await setup.actions.portForward(GUEST, { port: 22, protocol: 'tcp' })
    const said = await text(Readable.from(stream.iterator({ destroyOnReturn: false })))
    expect(said).toBe('all there is')
    await sleep(50)
    stream.end('an answer, late')
    expect((await got.promise).toString()).toBe('an answer, late')
  })

  test('has a forwarded port send after it was told the end', async () => {
    setup.worker.makeStream = () => {
      const guest = new Duplex({
        allowHalfOpen: true,
        read() {},
        write: (_chunk, _encoding, done) => done(),
        final: (done) => {
          guest.push('the sum')
          guest.push(null)
          done()
        },
      })
      return guest
    }
    const stream = await setup.actions.portForward(GUEST, { port: 22, protocol: 'tcp' })
    stream.end('everything')
    expect(await text(stream)).toBe('the sum')
  })

  test('refuses with the refusal it meant', async () => {
    setup.worker.failure = conflict(
      { group: 'kubevirt.io', kind: 'virtualmachineinstance' },
      'vm1',
      'not now',
    )
    const error = await setup.actions.pause(GUEST).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(StatusError)
    // It is one, as was just seen.
    expect((error as StatusError).toStatus()).toEqual((setup.worker.failure as StatusError).toStatus())
  })

  test('shows nothing of a bug but to its log', async () => {
    setup.worker.failure = new Error('secret detail')
    const error = await setup.actions.pause(GUEST).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(StatusError)
    expect(error).toMatchObject({ code: 500 })
    expect(String(error)).not.toContain('secret')
    expect(setup.log.lines).toMatchObject([{ level: 'error', fields: { err: setup.worker.failure } }])
  })

  test('is not waited for once the caller has given up', async () => {
    setup.worker.hold = new Promise(() => {})
    const given = new AbortController()
    const reason = new Error('enough')
    const call = setup.actions.pause(GUEST, given.signal)
    await sleep(20)
    given.abort(reason)
    await expect(call).rejects.toBe(reason)
  })

  test('is watched: a snapshot, then what changes', async () => {
    const stop = new AbortController()
    const seen: NodeUpdate[] = []
    for await (const update of setup.actions.watch(stop.signal)) {
      seen.push(update)
      if (seen.length === 1) setup.worker.tell({ type: 'report', guest: reportOf(GUEST, 2) })
      if (seen.length === 2) setup.worker.tell({ type: 'removed', guest: GUEST })
      if (seen.length === 3) stop.abort()
    }
    expect(seen).toEqual([
      { type: 'snapshot', guests: [reportOf(GUEST)] },
      { type: 'report', guest: reportOf(GUEST, 2) },
      { type: 'removed', guest: GUEST },
    ])
  })

  test('is watched no longer once the reader stops', async () => {
    for await (const update of setup.actions.watch(new AbortController().signal)) {
      expect(update.type).toBe('snapshot')
      break
    }
    while (setup.worker.watchers > 0) await sleep(5)
  })

  test('refuses a stream of a guest it does not have', async () => {
    await expect(setup.actions.console({ ...GUEST, uid: 'other' }, WRITE)).rejects.toMatchObject({
      code: 404,
    })
  })

  test('is told how a display is claimed', async () => {
    const stream = await setup.actions.vnc(GUEST, { preserveSession: true, maxSessions: 2, user: 'bob' })
    expect(setup.worker.asked).toEqual([
      ['vnc', GUEST, { preserveSession: true, maxSessions: 2, user: 'bob' }],
    ])
    stream.destroy()
  })

  test('gives streams that carry every byte, and both sides know the end', async () => {
    const stream = await setup.actions.console(GUEST, WRITE)
    const sent = randomBytes(2_000_000)
    const got: Buffer[] = []
    stream.on('data', (chunk: Buffer) => got.push(chunk))
    stream.write(sent)
    while (Buffer.concat(got).length < sent.length) await sleep(5)
    expect(Buffer.concat(got).equals(sent)).toBe(true)
    stream.destroy()
    while (!setup.worker.streams[0]?.destroyed) await sleep(5)
  })

  test('ends a stream after all the guest had said', async () => {
    const said = randomBytes(1_000_000)
    setup.worker.makeStream = () => {
      const guest = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      guest.push(said)
      guest.push(null)
      return guest
    }
    const stream = await setup.actions.console(GUEST, WRITE)
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    expect(hash(await buffer(stream))).toBe(hash(said))
  })

  test.each(['displaced', 'behind', 'draining'] as const)(
    'says that a stream was ended: %s',
    async (reason) => {
      const stream = await setup.actions.console(GUEST, WRITE)
      const error = once(stream, 'close').catch((error: unknown) => error)
      stream.resume()
      setup.worker.streams[0]?.destroy(new StreamEnded(reason))
      expect(await error).toMatchObject({ name: 'StreamEnded', reason })
    },
  )

  test('tells a stream that broke from one that ended', async () => {
    const stream = await setup.actions.console(GUEST, WRITE)
    const error = once(stream, 'close').catch((error: unknown) => error)
    stream.resume()
    setup.worker.streams[0]?.destroy(new Error('socket gone'))
    expect(await error).toBeInstanceOf(Error)
  })

  test('is held back by a reader that does not read', async () => {
    let made = 0
    setup.worker.makeStream = () =>
      new Duplex({
        read() {
          const chunk = Buffer.alloc(64 * 1024)
          made += chunk.length
          this.push(chunk)
        },
        write: (_chunk, _encoding, done) => done(),
      })
    const stream = await setup.actions.console(GUEST, WRITE)
    await sleep(300)
    const before = made
    await sleep(300)
    expect(made).toBe(before)
    expect(made).toBeLessThan(16 * 1024 * 1024)
    stream.destroy()
  })

  test('leaves no stream open for a caller who has gone', async () => {
    const go = Promise.withResolvers<void>()
    setup.worker.hold = go.promise
    const given = new AbortController()
    const call = setup.actions.console(GUEST, WRITE, given.signal).catch(() => {})
    await sleep(50)
    given.abort()
    await call
    await sleep(50)
    go.resolve()
    while (!setup.worker.streams[0]?.destroyed) await sleep(5)
    expect(setup.worker.streams).toHaveLength(1)
  })
})
