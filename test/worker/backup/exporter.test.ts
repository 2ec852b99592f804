import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectTo, ExportUnreachable, type ExportTarget } from '../../../src/worker/backup/export-target.ts'
import { Exporter } from '../../../src/worker/backup/exporter.ts'
import { ExportServer } from '../../helpers/export-server.ts'
import { makeAuthority } from '../../helpers/pki.ts'
import { silentLog } from '../../helpers/worker.ts'

const GREETING = Buffer.from('NBDMAGICIHAVEOPT\0\x03', 'latin1')

let dir: string
let nbd: Server
/** Connections that the NBD server has. */
let clients: Set<Socket>
let server: ExportServer
let target: ExportTarget
let greeting: Buffer
let exporter: Exporter

/** An NBD server as far as its greeting goes; the rest it says back. */
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
  greeting = GREETING
  clients = new Set()
  nbd = createServer((client) => {
    clients.add(client)
    client.on('error', () => {}).on('close', () => clients.delete(client))
    client.write(greeting)
    client.pipe(client)
  })
  nbd.listen(join(dir, 'nbd'))
  await once(nbd, 'listening')
  const authority = await makeAuthority()
  const pair = await authority.issue({ usage: 'client' })
  const serving = await authority.issue({ usage: 'server', dnsNames: ['export.test'] })
  server = await ExportServer.open(serving, authority.cert, join(dir, 'local'))
  const port = Number(server.address.split(':')[1])
  target = { host: '127.0.0.1', port, serverName: 'export.test', ca: authority.cert, ...pair }
  exporter = new Exporter({
    log: silentLog,
    dial: async () => {
      const socket = createConnection(join(dir, 'nbd'))
      await once(socket, 'connect')
      return socket
    },
  })
})
afterEach(async () => {
  exporter.end()
  await server[Symbol.asyncDispose]()
  for (const client of clients) client.destroy()
  nbd.close()
  await rm(dir, { recursive: true })
})

/** A reader at the export server; what it has read comes back once `end` bytes are there. */
async function read(say: Buffer, bytes: number): Promise<Buffer> {
  const socket = createConnection(join(dir, 'local'))
  const chunks: Buffer[] = []
  let length = 0
  socket.write(say)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= bytes) break
  }
  socket.destroy()
  return Buffer.concat(chunks)
}

test('a reader is greeted once, and then talks to the NBD server; many can at once', async () => {
  exporter.begin(target)
  const words = Array.from({ length: 20 }, (_, index) => Buffer.alloc(300_000, index + 1))
  const heard = await Promise.all(words.map((word) => read(word, word.length + GREETING.length)))
  for (const [index, word] of words.entries()) {
    expect(heard[index]?.equals(Buffer.concat([GREETING, word]))).toBe(true)
  }
  await expect.poll(() => clients.size).toBe(0)
})

test('the NBD server is asked only once a reader has said something', async () => {
  exporter.begin(target)
  await expect.poll(() => server.peers.length).toBe(1)
  const socket = createConnection(join(dir, 'local'))
  const [said] = (await once(socket, 'data')) as [Buffer]
  expect(said.equals(GREETING)).toBe(true)
  expect(clients.size).toBe(0)
  socket.write('x')
  await expect.poll(() => clients.size).toBe(1)
  socket.destroy()
  await expect.poll(() => clients.size).toBe(0)
})

test('a connection that begins before, and is there already, is used', async () => {
  exporter.begin(target, await connectTo(target, new AbortController().signal))
  expect(
    (await read(Buffer.from('x'), GREETING.length + 1)).equals(Buffer.concat([GREETING, Buffer.from('x')])),
  ).toBe(true)
  expect(exporter.isRunning(target)).toBe(true)
  expect(exporter.isRunning({ ...target, port: 1 })).toBe(false)
})

test('an NBD server that greets otherwise than was promised is not handed on', async () => {
  greeting = Buffer.from('NBDMAGICIHAVEOPT\0\x01', 'latin1')
  exporter.begin(target)
  expect(await read(Buffer.from('x'), GREETING.length + 1)).toEqual(GREETING)
  await expect.poll(() => clients.size).toBe(0)
})

test('its end ends every connection, those in use as well', async () => {
  exporter.begin(target)
  const socket = createConnection(join(dir, 'local'))
  socket.write('x')
  await expect.poll(() => clients.size).toBe(1)
  const closed = once(socket.resume(), 'close')
  exporter.end()
  await closed
  await expect.poll(() => clients.size).toBe(0)
  expect(exporter.isRunning()).toBe(false)
})

test('an export server that is away for a while is found again', async () => {
  const gone = { ...target }
  exporter.begin(gone)
  await expect.poll(() => server.peers.length).toBe(1)
  server.hangUp()
  await expect.poll(() => server.peers.length).toBe(2)
  expect((await read(Buffer.from('x'), GREETING.length + 1)).length).toBe(GREETING.length + 1)
})

test.each<[string, Partial<ExportTarget>]>([
  ['has another name', { serverName: 'other.test' }],
  ['does not listen', { port: 1 }],
])('a server that %s is not connected to', async (_what, more) => {
  const connecting = connectTo({ ...target, ...more }, new AbortController().signal)
  await expect(connecting).rejects.toThrow(ExportUnreachable)
})
