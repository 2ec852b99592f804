import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
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

const take = { preserveSession: false }
const keep = { preserveSession: true }
const ending = (stream: Duplex) =>
  new Promise<unknown>((resolve) => {
    let error: unknown
    stream.on('error', (found) => (error = found)).on('close', () => resolve(error))
  })

test('of a hundred who would preserve the session at the same time, one gets it', async () => {
  const tries = await Promise.allSettled(Array.from({ length: 100 }, () => display.open(keep)))
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const codes = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
  expect(new Set(codes)).toEqual(new Set([503]))
})

test('whoever does not preserve takes over, and the older session is told', async () => {
  const older = await display.open(keep)
  const ended = ending(older)
  const newer = await display.open(take)
  expect(await ended).toMatchObject({ name: 'StreamEnded', reason: 'displaced' })
  await expect(display.open(keep)).rejects.toMatchObject({ code: 503 })
  const over = ending(newer)
  newer.destroy()
  await over
  expect((await display.open(keep)).destroyed).toBe(false)
})

test('a display that cannot be reached costs nobody the session they have', async () => {
  const older = await display.open(take)
  server.close()
  await rm(path, { force: true })
  await expect(display.open(take)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(older.destroyed).toBe(false)
  await expect(display.open(keep)).rejects.toMatchObject({ code: 503 })
})
