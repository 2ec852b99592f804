import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConsoleOptions } from '../../../src/rpc/actions.ts'
import { StreamEnded } from '../../../src/lib/stream-end.ts'
import { isInUse } from '../../../src/lib/in-use.ts'
import { dial } from '../../../src/worker/files/pin.ts'
import { SerialConsole } from '../../../src/worker/streams/serial-console.ts'
import { fastClock } from '../../helpers/fake-worker.ts'

const MIB = 1024 ** 2

let folder: string
let server: Server
let path: string
let ports: Socket[]
let serial: SerialConsole

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-serial-'))
  path = join(folder, 'serial')
  ports = []
  server = createServer((socket) => ports.push(socket.on('error', () => {}))).listen(path)
  await once(server, 'listening')
  serial = new SerialConsole({
    dial: () => dial(path),
    clock: fastClock(50),
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
const WRITE = { mode: 'write', preserveSession: false, user: 'alice' } as const
const VIEW = { ...WRITE, mode: 'view', user: 'victor' } as const
const open = (options: Partial<ConsoleOptions> = {}) => serial.open({ ...WRITE, ...options }).session
const next = async (stream: Duplex): Promise<string> => String((await once(stream, 'data'))[0])
const refusal = (run: () => unknown): unknown => {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}
/** What a stream ends with. */
const ending = (stream: Duplex) =>
  new Promise<unknown>((resolve) => {
    let error: unknown
    stream.on('error', (found) => (error = found)).on('close', () => resolve(error))
  })

test('bytes go both ways, and what came before a session is not repeated', async () => {
  const early = open(VIEW)
  const before = next(early)
  guest().write('before')
  expect(await before).toBe('before')
  const session = open()
  const seen = next(session)
  guest().write('now')
  expect(await seen).toBe('now')
  const typed = next(guest())
  session.write('ls\n')
  expect(await typed).toBe('ls\n')
})

test('a new session takes over: the older one ends, and says why', async () => {
  const older = open()
  const ended = ending(older)
  const newer = open()
  expect(await ended).toMatchObject({ name: 'StreamEnded', reason: 'displaced' })
  const seen = next(newer)
  guest().write('x')
  expect(await seen).toBe('x')
})

test('viewers read beside whoever types, stay when that changes, and type into nothing', async () => {
  const viewers = Array.from({ length: 3 }, () => open(VIEW))
  const writer = open()
  const newer = open({ user: 'bob' })
  expect(writer.destroyed).toBe(true)
  const seen = Promise.all([...viewers, newer].map(next))
  guest().write('for all')
  expect(await seen).toEqual(Array.from({ length: 4 }, () => 'for all'))
  await new Promise((resolve) => viewers[0]?.write('not this\n', resolve))
  const typed = next(guest())
  newer.write('this\n')
  expect(await typed).toBe('this\n')
})

test('who types is told to whoever takes over; a viewer takes over from nobody', () => {
  expect(serial.open({ ...WRITE, user: 'alice' })).not.toHaveProperty('displaced')
  expect(serial.open({ ...VIEW, user: 'victor' })).not.toHaveProperty('displaced')
  expect(serial.open({ ...WRITE, user: 'bob' }).displaced).toBe('alice')
})

test('a session is preserved while somebody types: 503 for those who ask so, of a hundred at once one gets it', async () => {
  const keep = { ...WRITE, preserveSession: true }
  const tries = await Promise.allSettled(Array.from({ length: 100 }, async () => serial.open(keep).session))
  const won = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(won).toHaveLength(1)
  const refusals = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  expect(refusals.every((error) => error.code === 503 && isInUse(error))).toBe(true)
  expect(open({ ...VIEW, preserveSession: true }).destroyed).toBe(false)
  const over = ending(won[0]!)
  won[0]!.destroy()
  await over
  expect(open({ preserveSession: true }).destroyed).toBe(false)
})

test('a port that is not connected is 503, which is not "in use", and costs nobody the session', async () => {
  guest().destroy()
  server.close()
  await rm(path, { force: true })
  await expect.poll(() => refusal(() => open({ preserveSession: true }))).toMatchObject({ code: 503 })
  expect(isInUse(refusal(() => open()))).toBe(false)
})

test('a session that ends its side is over, and the port stays for the next', async () => {
  const session = open()
  const ended = ending(session)
  session.resume()
  session.end('bye\n')
  expect(await ended).toBeUndefined()
  expect(ports).toHaveLength(1)
  const again = open()
  const typed = next(guest())
  again.write('me\n')
  expect(await typed).toContain('me\n')
})

test('without a log, a session that does not read is ended at 1 MiB; the guest and others go on', async () => {
  const session = open()
  let printed = 0
  open(VIEW).on('data', (bytes: Buffer) => (printed += bytes.length))
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
    const session = open()
    for (let written = 0; written < 8; written += 1) session.write(chunk, (error) => (taken += error ? 0 : 1))
    await sleep(5)
  }
  // What the kernel keeps for a socket, and no more: 160 were offered.
  expect(taken).toBeLessThan(20)
  guest().resume()
  const last = open()
  await new Promise((resolve) => last.write('z', resolve))
})

test('the port is connected to again when it breaks; sessions end without an error', async () => {
  const session = open()
  session.resume()
  const ended = ending(session)
  guest().destroy()
  expect(await ended).toBeUndefined()
  await expect.poll(() => ports.length).toBe(2)
  const again = open()
  const seen = next(again)
  guest().write('back')
  expect(await seen).toBe('back')
})

test('closing ends the session and leaves no timer that would connect again', async () => {
  const session = open()
  session.resume()
  const ended = ending(session)
  serial[Symbol.dispose]()
  expect(await ended).toBeUndefined()
  await sleep(60)
  expect(ports).toHaveLength(1)
})
