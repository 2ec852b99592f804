import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { truncate } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { dial } from '../../../src/worker/files/pin.ts'
import { ConsoleLog } from '../../../src/worker/streams/console-log.ts'
import { SerialConsole } from '../../../src/worker/streams/serial-console.ts'
import { silentLog } from '../../helpers/worker.ts'
import { pattern } from '../../helpers/pattern.ts'
import { TestPort } from '../../helpers/serial-port.ts'

const MIB = 1024 ** 2
const VIEW = { mode: 'view', preserveSession: false, user: 'victor' } as const

let port: TestPort
let log: ConsoleLog
let serial: SerialConsole

const connect = async (): Promise<void> => {
  log = new ConsoleLog({ file: port.file, clock: systemClock, log: silentLog })
  serial = new SerialConsole({ dial: () => dial(port.path), clock: systemClock, log })
  await serial.connect()
  await port.peer()
}
const open = () => serial.open(VIEW).session

beforeEach(async () => {
  port = await TestPort.open()
  await connect()
  await serial.settle()
})
afterEach(async () => {
  serial[Symbol.dispose]()
  await port[Symbol.asyncDispose]()
})

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Reads so many bytes, in sips with a rest after each. */
async function sip(stream: Duplex, bytes: number, { size = bytes, restMs = 0 } = {}): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let left = bytes; left > 0;) {
    const part = stream.read(Math.min(size, left)) ?? stream.read()
    if (part === null) {
      await once(stream, 'readable')
      continue
    }
    parts.push(part)
    left -= part.length
    if (restMs > 0) await sleep(restMs)
  }
  return Buffer.concat(parts)
}

test('a session that reads slowly loses nothing, keeps little in memory, and is live again once it has caught up', async () => {
  const slow = open()
  const fast = open()
  const said = pattern(8 * MIB)
  const all = sip(fast, said.length)
  for (let at = 0; at < said.length; at += 100_000) await port.print(said.subarray(at, at + 100_000))
  // The guest and the other reader did not wait.
  expect(hashOf(await all)).toBe(hashOf(said))
  await expect.poll(() => slow.isBehind).toBe(true)
  expect(slow.readableLength).toBeLessThan(MIB)
  const start = await sip(slow, 20_000, { size: 1024, restMs: 1 })
  expect(start.equals(said.subarray(0, 20_000))).toBe(true)
  const rest = await sip(slow, said.length - 20_000)
  expect(hashOf(rest)).toBe(hashOf(said.subarray(20_000)))
  // Whatever comes next makes it look once more.
  slow.read(0)
  await expect.poll(() => slow.isBehind).toBe(false)
  const next = once(slow, 'data')
  await port.print('live')
  expect(String((await next)[0])).toBe('live')
})

test('one that falls behind while the guest goes on printing gets every byte once', async () => {
  const session = open()
  const said = pattern(12 * MIB, 7)
  const read = sip(session, said.length, { size: 300_000, restMs: 3 })
  for (let at = 0; at < said.length; at += 50_001) {
    await port.print(said.subarray(at, at + 50_001))
    if (at % 7 === 0) await sleep(1)
  }
  expect(hashOf(await read)).toBe(hashOf(said))
})

test('single bytes are kept packed: a quarter MiB of them takes no more', async () => {
  const session = open()
  const before = process.memoryUsage().heapUsed
  for (let count = 0; count < 200_000; count += 1) session.deliver(Buffer.from([count & 0xff]), undefined)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(60 * MIB)
  const read = await sip(session, 200_000)
  expect(read.every((byte, index) => byte === (index & 0xff))).toBe(true)
})

test('a guest that ends is read to its end by one who was behind', async () => {
  const session = open()
  const said = pattern(3 * MIB, 3)
  await port.print(said)
  await expect.poll(() => session.isBehind).toBe(true)
  port.drop()
  await expect.poll(() => serial.size).toBe(0)
  const chunks: Buffer[] = []
  for await (const chunk of session) chunks.push(chunk)
  expect(hashOf(Buffer.concat(chunks))).toBe(hashOf(said))
})

test('a worker that comes later finds its place in the log once the guest is silent for a moment', async () => {
  serial[Symbol.dispose]()
  port.drop()
  await port.print('while nobody was there\n')
  await connect()
  expect(serial.end).toBeUndefined()
  await port.print('and after\n')
  await expect.poll(() => serial.end, { timeout: 5000 }).toBe('while nobody was there\nand after\n'.length)
  const session = open()
  const said = pattern(2 * MIB, 5)
  await port.print(said)
  await expect.poll(() => session.isBehind).toBe(true)
  expect(hashOf(await sip(session, said.length))).toBe(hashOf(said))
})

test('a log that is not what came ends the session rather than to show it something else', async () => {
  const session = open()
  let problem: unknown
  session.on('error', (error) => (problem = error))
  await port.print(pattern(2 * MIB, 9))
  await expect.poll(() => session.isBehind).toBe(true)
  await truncate(port.file, MIB)
  await port.print(pattern(MIB, 11))
  session.resume()
  await expect
    .poll(() => problem, { timeout: 10_000 })
    .toMatchObject({ name: 'StreamEnded', reason: 'behind' })
})

test('a session that goes away while it is behind leaves no open file', async () => {
  const { readdirSync, readlinkSync } = await import('node:fs')
  const files = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === port.file
      } catch {
        return false
      }
    }).length
  const before = files()
  const sessions = Array.from({ length: 20 }, open)
  await port.print(pattern(2 * MIB, 13))
  for (const session of sessions) session.read(1000)
  await expect.poll(files).toBe(before + 20)
  for (const session of sessions) session.destroy()
  await expect.poll(files).toBe(before)
  expect(serial.size).toBe(0)
})
