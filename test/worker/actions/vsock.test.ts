import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import type { GuestRef } from '../../../src/rpc/actions.ts'
import type { Worker, WorkerOptions } from '../../../src/worker/worker.ts'
import { fakeVmi, openFakeWorker } from '../../helpers/fake-worker.ts'
import { makeAuthority, servingPair } from '../../helpers/pki.ts'
import {
  makeHome,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  type WorkerHome,
  WorkerWatch,
} from '../../helpers/worker.ts'

let home: WorkerHome
let worker: Worker
let guest: GuestRef

/** As the host's device: what counts here is that QEMU gets it opened. */
const device = () => join(home.root, 'vhost-vsock')

beforeEach(async () => {
  home = await makeHome()
  writeFileSync(device(), 'a device')
  await open()
})

afterEach(async () => {
  await removeAll(worker)
  await worker[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function open(more: Partial<WorkerOptions> = {}): Promise<void> {
  const program = fileURLToPath(new URL('../../programs/fake-socat.ts', import.meta.url))
  const socat = join(home.root, 'socat')
  writeFileSync(socat, `#!/bin/sh\nexec '${process.execPath}' '${program}' '${home.root}' "$@"\n`)
  chmodSync(socat, 0o755)
  worker = await openFakeWorker(home, { socat, vhostVsock: device(), clock: systemClock, ...more })
}

async function start(name = 'quiet'): Promise<GuestRef> {
  const vmi = fakeVmi(name, { domain: { devices: { autoattachVSOCK: true } } })
  await using watch = new WorkerWatch(worker)
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  guest = refOf(vmi)
  return guest
}

const cidOf = async (which: GuestRef) => (await worker.report(which)).status.VSOCKCID ?? 0

/** Listens as the guest would. */
async function serve(port: number, answer: (text: string) => string): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on('data', (bytes) => void socket.write(answer(String(bytes)))).on('error', () => {})
  })
  server.listen(join(home.root, `${await cidOf(guest)}-${port}`))
  await once(server, 'listening')
  return server
}

test('guests get context ids of their own, which last, and QEMU gets the device opened', async () => {
  const one = await start('one')
  const two = await start('two')
  const cids = [await cidOf(one), await cidOf(two)]
  expect(Math.min(...cids)).toBeGreaterThan(2)
  expect(cids[0]).not.toBe(cids[1])
  const argv = readFileSync(`/proc/${pidOf(home, one.uid)}/cmdline`, 'utf8').split('\0')
  expect(argv.find((arg) => arg.includes('vhost-vsock-pci'))).toContain(
    `"guest-cid":${cids[0]},"vhostfd":"3"`,
  )
  // The stand-in is a child of a shell, which hands its files on.
  expect(readdirSync(`/proc/${pidOf(home, one.uid)}/fd`)).toContain('3')
  await worker[Symbol.asyncDispose]()
  await open()
  expect([await cidOf(one), await cidOf(two)]).toEqual(cids)
})

test('a connection carries bytes both ways', async () => {
  await start()
  await using _server = await serve(1024, (text) => text.toUpperCase())
  const stream = await worker.vsock(guest, { port: 1024, tls: false })
  stream.write('hello')
  expect(String((await once(stream, 'data'))[0])).toBe('HELLO')
  stream.destroy()
  await once(stream, 'close')
})

test('a port at which nothing listens is refused with 503', async () => {
  await start()
  await expect(worker.vsock(guest, { port: 9, tls: false })).rejects.toMatchObject({
    code: 503,
    message: expect.stringContaining('Connection reset by peer'),
  })
})

test('with TLS the guest is spoken to in TLS 1.3, whatever its certificate', async () => {
  await start()
  const pair = await servingPair(await makeAuthority())
  const protocols: (string | null)[] = []
  const server = createTlsServer({ ...pair }, (socket) => {
    protocols.push(socket.getProtocol())
    socket.on('error', () => {}).end('secret')
  })
  server.listen(join(home.root, `${await cidOf(guest)}-443`))
  await once(server, 'listening')
  const stream = await worker.vsock(guest, { port: 443, tls: true })
  expect(String((await once(stream, 'data'))[0])).toBe('secret')
  expect(protocols).toEqual(['TLSv1.3'])
  stream.destroy()
  server.close()
})

test('a guest that speaks no TLS is told of before anything is sent', async () => {
  await start()
  await using _server = await serve(443, () => 'SSH-2.0-none of that\r\n')
  await expect(worker.vsock(guest, { port: 443, tls: true })).rejects.toMatchObject({ code: 503 })
})

test('whoever goes away while the guest is dialled leaves no process behind', async () => {
  await start()
  const mute = createServer((socket) => void socket.on('error', () => {}).resume())
  mute.listen(join(home.root, `${await cidOf(guest)}-443`))
  await once(mute, 'listening')
  const leaving = new AbortController()
  const dialled = worker.vsock(guest, { port: 443, tls: true }, leaving.signal)
  // It may be refused before anybody looks.
  dialled.catch(() => {})
  // The server's, whose other side is the process.
  const [socket] = (await once(mute, 'connection')) as [Socket]
  const gone = once(socket, 'close')
  leaving.abort(new Error('has left'))
  await expect(dialled).rejects.toThrow('has left')
  await gone
  mute.close()
})

test('a node without the program says what to install', async () => {
  await start()
  await worker[Symbol.asyncDispose]()
  await open({ socat: '/nowhere/socat' })
  await expect(worker.vsock(guest, { port: 1, tls: false })).rejects.toMatchObject({
    code: 503,
    message: expect.stringContaining('install socat'),
  })
})

test('a node without the device keeps the guest waiting, and says for what', async () => {
  await worker[Symbol.asyncDispose]()
  await open({ vhostVsock: '/nowhere/vhost-vsock' })
  const vmi = fakeVmi('quiet', { domain: { devices: { autoattachVSOCK: true } } })
  await using watch = new WorkerWatch(worker)
  await worker.sync(requestFor(vmi))
  const report = await watch.report(vmi.metadata.uid, ({ conditions }) => conditions.length > 0)
  expect(report).toMatchObject({ phase: 'Scheduled', conditions: [{ reason: 'HostResourceMissing' }] })
  expect(report.message).toContain('vhost_vsock')
})

test('a guest without vsock has none to connect to', async () => {
  const vmi = fakeVmi('quiet')
  await using watch = new WorkerWatch(worker)
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  await expect(worker.vsock(refOf(vmi), { port: 1, tls: false })).rejects.toMatchObject({ code: 400 })
})
