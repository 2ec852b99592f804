import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { VncOptions } from '../../../src/rpc/actions.ts'
import { dial } from '../../../src/worker/files/pin.ts'
import { Display } from '../../../src/worker/streams/display.ts'

let folder: string
let server: Server
let sockets: Socket[]
let display: Display
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-vnc-'))
  path = join(folder, 'vnc')
  sockets = []
  server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(path)
  await once(server, 'listening')
  display = new Display(() => dial(path))
})
afterEach(async () => {
  display[Symbol.dispose]()
  for (const socket of sockets) socket.destroy()
  server.close()
  await rm(folder, { recursive: true })
})

const take = { preserveSession: false, maxSessions: 1, user: 'alice' }
const keep = { ...take, preserveSession: true, user: 'bob' }
const open = async (options: VncOptions) => (await display.open(options)).stream
const ending = (stream: Duplex) =>
  new Promise<unknown>((resolve) => {
    let error: unknown
    stream.on('error', (found) => (error = found)).on('close', () => resolve(error))
  })

test('of a hundred who would preserve the session at the same time, one gets it', async () => {
  const tries = await Promise.allSettled(Array.from({ length: 100 }, () => open(keep)))
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const codes = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
  expect(new Set(codes)).toEqual(new Set([503]))
})

test('whoever does not preserve takes over, and the older session is told', async () => {
  const older = await open(keep)
  const ended = ending(older)
  const newer = await open(take)
  expect(await ended).toMatchObject({ name: 'StreamEnded', reason: 'displaced' })
  await expect(open(keep)).rejects.toMatchObject({ code: 503 })
  const over = ending(newer)
  newer.destroy()
  await over
  expect((await open(keep)).destroyed).toBe(false)
})

test('a display that cannot be reached costs nobody the session they have', async () => {
  const older = await open(take)
  server.close()
  await rm(path, { force: true })
  await expect(open(take)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(older.destroyed).toBe(false)
  await expect(open(keep)).rejects.toMatchObject({ code: 503 })
})

test('as many share the display as may; the next one takes over from the oldest, and both users are told', async () => {
  const share = { ...take, maxSessions: 3 }
  const [first, second, third] = await Promise.all(['a', 'b', 'c'].map((user) => open({ ...share, user })))
  await expect(open({ ...keep, maxSessions: 3 })).rejects.toMatchObject({ code: 503 })
  const ended = ending(first!)
  const { stream, displaced } = await display.open({ ...share, user: 'd' })
  expect(displaced).toEqual(['a'])
  expect(await ended).toMatchObject({ reason: 'displaced' })
  for (const one of [second!, third!, stream]) expect(one.destroyed).toBe(false)
  // Fewer may, from now on.
  expect((await display.open({ ...take, user: 'e' })).displaced).toEqual(['b', 'c', 'd'])
  expect(display.size).toBe(1)
})

test('of many who take over at the same time one is left, and every other one is told', async () => {
  const before = await open(take)
  const streams = [before, ...(await Promise.all(Array.from({ length: 50 }, () => open(take))))]
  await expect.poll(() => streams.filter(({ destroyed }) => !destroyed).length).toBe(1)
  expect(streams.filter(({ errored }) => errored).map(({ errored }) => errored)).toEqual(
    Array.from({ length: 50 }, () => expect.objectContaining({ reason: 'displaced' })),
  )
  expect(display.size).toBe(1)
})
