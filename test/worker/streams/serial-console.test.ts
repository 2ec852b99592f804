import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StreamEnded } from '../../../src/lib/stream-end.ts'
import { dial } from '../../../src/worker/files/pin.ts'
import { SerialConsole } from '../../../src/worker/streams/serial-console.ts'
import { fastClock } from '../../helpers/fake-worker.ts'

const MIB = 1024 ** 2

let folder: string
let server: Server
let path: string
let ports: Socket[]
let serial: SerialConsole
let printed: number

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-serial-'))
  path = join(folder, 'serial')
  ports = []
  printed = 0
  server = createServer((socket) => ports.push(socket.on('error', () => {}))).listen(path)
  await once(server, 'listening')
  serial = new SerialConsole({
    dial: () => dial(path),
    clock: fastClock(50),
    onOutput: (bytes) => (printed += bytes),
  })
  await serial.connect()
  while (ports.length === 0) await sleep(1)
})
afterEach(async () => {
  serial[Symbol.dispose]()
  for (const port of ports) port.destroy()
  server.close()
  await rm(folder, { recursive: true })
})

const guest = (): Socket => {
  const port = ports.at(-1)
  if (!port) throw new Error('nobody is connected')
  return port
}
const next = async (stream: Duplex): Promise<string> => String((await once(stream, 'data'))[0])
/** What a stream ends with. */
const ending = (stream: Duplex) =>
  new Promise<unknown>((resolve) => {
    let error: unknown
    stream.on('error', (found) => (error = found)).on('close', () => resolve(error))
  })

test('bytes go both ways, and what came before a session is not repeated', async () => {
  guest().write('before')
  await expect.poll(() => printed).toBe(6)
  const session = serial.open()
  const seen = next(session)
  guest().write('now')
  expect(await seen).toBe('now')
  const typed = next(guest())
  session.write('ls\n')
  expect(await typed).toBe('ls\n')
})

test('a new session takes over: the older one ends, and says why', async () => {
  const older = serial.open()
  const ended = ending(older)
  const newer = serial.open()
  expect(await ended).toMatchObject({ name: 'StreamEnded', reason: 'displaced' })
  const seen = next(newer)
  guest().write('x')
  expect(await seen).toBe('x')
})

test('a session that ends its side is over, and the port stays for the next', async () => {
  const session = serial.open()
  const ended = ending(session)
  session.resume()
  session.end('bye\n')
  expect(await ended).toBeUndefined()
  expect(ports).toHaveLength(1)
  const again = serial.open()
  const typed = next(guest())
  again.write('me\n')
  expect(await typed).toContain('me\n')
})

test('a session that does not read is ended at 1 MiB, and the guest goes on printing', async () => {
  const session = serial.open()
  const ended = ending(session)
  const chunk = Buffer.alloc(MIB, 'x')
  for (let count = 0; count < 20; count += 1) {
    await new Promise((resolve) => guest().write(chunk, resolve))
  }
  expect(await ended).toBeInstanceOf(StreamEnded)
  expect(await ended).toMatchObject({ reason: 'behind' })
  await expect.poll(() => printed).toBe(20 * MIB)
  expect(session.readableLength).toBeLessThanOrEqual(MIB)
})

test('a guest that does not read holds up whoever types, across sessions, and nothing grows', async () => {
  guest().pause()
  const chunk = Buffer.alloc(64 * 1024, 'y')
  let taken = 0
  for (let count = 0; count < 20; count += 1) {
    const session = serial.open()
    for (let written = 0; written < 8; written += 1) session.write(chunk, (error) => (taken += error ? 0 : 1))
    await sleep(5)
  }
  // What the kernel keeps for a socket, and no more: 160 were offered.
  expect(taken).toBeLessThan(20)
  guest().resume()
  const last = serial.open()
  await new Promise((resolve) => last.write('z', resolve))
})

test('the port is connected to again when it breaks; sessions end without an error', async () => {
  const session = serial.open()
  session.resume()
  const ended = ending(session)
  guest().destroy()
  expect(await ended).toBeUndefined()
  await expect.poll(() => ports.length).toBe(2)
  const again = serial.open()
  const seen = next(again)
  guest().write('back')
  expect(await seen).toBe('back')
})

test('closing ends the session and leaves no timer that would connect again', async () => {
  const session = serial.open()
  session.resume()
  const ended = ending(session)
  serial[Symbol.dispose]()
  expect(await ended).toBeUndefined()
  await sleep(60)
  expect(ports).toHaveLength(1)
})
