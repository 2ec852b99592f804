import { stat, readFile, writeFile, appendFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock, type Clock } from '../../../src/lib/clock.ts'
import { StreamEnded } from '../../../src/lib/stream-end.ts'
import type { ConsoleLogOptions } from '../../../src/rpc/actions.ts'
import { ConsoleLog, type ConsoleLogParts } from '../../../src/worker/streams/console-log.ts'
import { readConsoleLog } from '../../../src/worker/streams/log-reader.ts'
import { LogStream } from '../../../src/worker/streams/log-stream.ts'
import { pattern } from '../../helpers/pattern.ts'
import { TestPort } from '../../helpers/serial-port.ts'
import { memoryLog } from '../../helpers/api.ts'
import { silentLog } from '../../helpers/worker.ts'

const KIB = 1024
const LIMITS = { keep: 64 * KIB, step: 32 * KIB, most: 512 * KIB, everyMs: 0 }
const START = Date.parse('2026-01-01T00:00:00Z')

let port: TestPort
let now: number
const clock: Clock = { now: () => now, after: (ms, run) => systemClock.after(ms, run) }

beforeEach(async () => {
  port = await TestPort.open()
  now = START
})
afterEach(() => port[Symbol.asyncDispose]())

const openLog = (more: Partial<ConsoleLogParts> = {}) =>
  new ConsoleLog({ file: port.file, clock, log: silentLog, limits: LIMITS, ...more })

/** The guest prints, and the worker sees it. */
async function print(log: ConsoleLog, text: Buffer | string): Promise<void> {
  const position = await log.size()
  await port.print(text)
  log.grew(Buffer.byteLength(text), position)
}

const stream = (log: ConsoleLog, options: Partial<ConsoleLogOptions> = {}) =>
  new LogStream((signal) =>
    readConsoleLog(log, { follow: false, timestamps: false, ...options }, { clock, signal }),
  )

async function textOf(log: ConsoleLog, options: Partial<ConsoleLogOptions> = {}): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream(log, options)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

const LINES = Array.from({ length: 10 }, (_, index) => `line ${index}\r\n`)

/** Ten lines, one a second. */
async function tenLines(): Promise<ConsoleLog> {
  const log = openLog()
  for (const line of LINES) {
    await print(log, line)
    now += 1000
  }
  return log
}

test.each<[string, Partial<ConsoleLogOptions>, string]>([
  ['all of it', {}, LINES.join('')],
  ['the last lines', { tailLines: 3 }, LINES.slice(-3).join('')],
  ['more lines than there are', { tailLines: 30 }, LINES.join('')],
  ['no line', { tailLines: 0 }, ''],
  ['what came since', { sinceTime: '2026-01-01T00:00:07Z' }, LINES.slice(7).join('')],
  ['what came since, between two lines', { sinceTime: '2026-01-01T00:00:06.5Z' }, LINES.slice(7).join('')],
  ['what came since before it began', { sinceTime: '2025-01-01T00:00:00Z' }, LINES.join('')],
  ['what came in the future', { sinceTime: '2027-01-01T00:00:00Z' }, ''],
  ['the fewer of both', { sinceTime: '2026-01-01T00:00:03Z', tailLines: 2 }, LINES.slice(-2).join('')],
  [
    'the fewer of both, the other way',
    { sinceTime: '2026-01-01T00:00:08Z', tailLines: 9 },
    LINES.slice(8).join(''),
  ],
  ['so many bytes', { limitBytes: 11 }, 'line 0\r\nlin'],
  ['times', { tailLines: 1, timestamps: true }, '2026-01-01T00:00:09.000Z line 9\r\n'],
  ['times, within the limit', { limitBytes: 30, timestamps: true }, '2026-01-01T00:00:00.000Z line '],
])('a reader who asks for %s gets that', async (_what, options, text) => {
  expect(await textOf(await tenLines(), options)).toBe(text)
})

test('a last line that is not ended counts as one, and a line without end needs no memory', async () => {
  const log = openLog({ limits: { ...LIMITS, keep: 1024 * KIB } })
  await print(log, 'one\ntwo\nthree')
  expect(await textOf(log, { tailLines: 1 })).toBe('three')
  expect(await textOf(log, { tailLines: 2 })).toBe('two\nthree')
  await print(log, 'x'.repeat(200_000))
  expect(await textOf(log, { tailLines: 1, timestamps: true })).toBe(
    `2026-01-01T00:00:00.000Z three${'x'.repeat(200_000)}`,
  )
})

test('the next worker knows when what came; what came while there was none came by the last time of writing', async () => {
  const first = await tenLines()
  await expect
    .poll(async () => (await readFile(`${port.folder}/serial0.index`, 'utf8')).split('\n').length)
    .toBe(11)
  first.finish()
  await port.print('unseen\n')
  now += 3600_000
  const second = openLog()
  await print(second, 'seen\n')
  const text = await textOf(second, { timestamps: true, tailLines: 3 })
  const lines = text.split('\n')
  expect(lines[0]).toBe('2026-01-01T00:00:09.000Z line 9\r')
  expect(lines[1]).toMatch(
    new RegExp(`^${new Date((await stat(port.file)).mtimeMs).toISOString().slice(0, 13)}.* unseen$`),
  )
})

test('what is behind the last mark in a broken index is not read', async () => {
  await port.print('one\ntwo\n')
  await writeFile(`${port.folder}/serial0.index`, '0 1767225600000\nrubbish\n4 17672256010')
  expect(await textOf(openLog(), { timestamps: true })).toMatch(/^2026-01-01T00:00:00\.000Z one\n/)
})

test('one who follows gets what there is and what comes, and the end of the guest', async () => {
  const log = openLog()
  await print(log, 'before\n')
  const following = stream(log, { follow: true, tailLines: 1, timestamps: true })
  let text = ''
  const ended = new Promise((resolve) => following.on('end', resolve))
  following.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await expect.poll(() => text).toBe('2026-01-01T00:00:00.000Z before\n')
  now += 5000
  await print(log, 'after\n')
  await expect.poll(() => text).toContain('2026-01-01T00:00:05.000Z after\n')
  await port.print('last words\n')
  log.finish()
  await ended
  expect(text).toContain('last words')
})

test('one who follows is told that the worker ends; one who goes away leaves nothing behind', async () => {
  const log = openLog()
  await print(log, 'x\n')
  const [told, leaving] = [stream(log, { follow: true }), stream(log, { follow: true })]
  let problem: unknown
  told.on('error', (error) => (problem = error)).resume()
  leaving.resume()
  const gone = new Promise((resolve) => leaving.on('close', resolve))
  leaving.destroy()
  await gone
  log.drain()
  await expect.poll(() => problem).toMatchObject({ reason: 'draining' })
})

test('the head of a log that grows is given back, and places in it stay what they were', async () => {
  const log = openLog()
  const said = pattern(400 * KIB)
  for (let at = 0; at < said.length; at += 8 * KIB) await print(log, said.subarray(at, at + 8 * KIB))
  await expect.poll(() => log.floor).toBeGreaterThanOrEqual(272 * KIB)
  expect(await log.size()).toBe(said.length)
  await expect.poll(async () => (await stat(port.file)).blocks * 512).toBeLessThanOrEqual(132 * KIB)
  await using cursor = log.read(log.floor)
  expect((await cursor.read(Infinity)).equals(said.subarray(log.floor, log.floor + 64 * KIB))).toBe(true)
  // The next worker does not read the hole.
  const next = openLog()
  await next.size()
  expect(next.floor).toBe(log.floor)
  expect((await textOf(next)).startsWith('\0')).toBe(false)
})

test('what somebody still reads is spared, up to the limit; beyond it they are told that they are behind', async () => {
  const log = openLog()
  const said = pattern(1024 * KIB)
  await print(log, said.subarray(0, 8 * KIB))
  await using slow = log.read(0)
  for (let at = 8 * KIB; at < 384 * KIB; at += 8 * KIB) await print(log, said.subarray(at, at + 8 * KIB))
  expect(log.floor).toBe(0)
  expect((await slow.read(Infinity)).equals(said.subarray(0, 64 * KIB))).toBe(true)
  for (let at = 384 * KIB; at < 1024 * KIB; at += 8 * KIB) await print(log, said.subarray(at, at + 8 * KIB))
  await expect.poll(() => log.floor, { timeout: 5000 }).toBeGreaterThan(64 * KIB)
  await expect(slow.read(Infinity)).rejects.toThrow(StreamEnded)
  await expect
    .poll(async () => (await stat(port.file)).blocks * 512, { timeout: 5000 })
    .toBeLessThanOrEqual(600 * KIB)
})

test('where no hole can be punched the log is emptied at the limit, said once, and is read on', async () => {
  const lines = memoryLog()
  const log = openLog({ log: lines, punch: async () => 'Operation not supported' })
  let resets = 0
  log.onReset = () => (resets += 1)
  const said = pattern(1200 * KIB)
  for (let at = 0; at < said.length; at += 8 * KIB) await print(log, said.subarray(at, at + 8 * KIB))
  await expect.poll(() => resets).toBeGreaterThan(0)
  expect((await stat(port.file)).size).toBeLessThan(700 * KIB)
  expect(lines.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  // What is printed while it is being emptied is lost.
  const printAndRead = async (): Promise<string> => {
    const end = await log.size()
    await port.print('new\n')
    await using cursor = log.read(end)
    return String(await cursor.read(Infinity))
  }
  await expect.poll(printAndRead).toBe('new\n')
})

test('the index stays small, however long a guest prints a little', async () => {
  const log = openLog()
  let text = ''
  for (let count = 0; count < 40_000; count += 1) text += `${count * 3} ${START + count * 1000}\n`
  await port.print('ab\n'.repeat(40_000))
  await writeFile(`${port.folder}/serial0.index`, text)
  await log.size()
  now += 40_000_000
  await print(log, 'end\n')
  await expect
    .poll(async () => (await stat(`${port.folder}/serial0.index`)).size, { timeout: 5000 })
    .toBeLessThan(MIB_LIMIT)
  expect(await textOf(log, { tailLines: 1, timestamps: true })).toBe(`${new Date(now).toISOString()} end\n`)
  await appendFile(port.file, '')
})

const MIB_LIMIT = 1024 ** 2 / 2
