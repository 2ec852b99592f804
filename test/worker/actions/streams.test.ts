/** The streams of a guest, on a worker whose QEMU is `test/programs/fake-machine.ts`. */
import { once } from 'node:events'
import { readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConsoleLogOptions } from '../../../src/rpc/actions.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { memoryLog } from '../../helpers/api.ts'
import { fakeVmi, openFakeWorker } from '../../helpers/fake-worker.ts'
import { decodePng } from '../../helpers/png.ts'
import {
  makeHome,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  WATCHING,
  type WorkerHome,
  WorkerWatch,
} from '../../helpers/worker.ts'

let home: WorkerHome
let worker: Worker
let watch: WorkerWatch
let log: ReturnType<typeof memoryLog>

beforeEach(async () => {
  home = await makeHome()
  log = memoryLog()
  worker = await openFakeWorker(home, { log })
  watch = new WorkerWatch(worker)
})
afterEach(async () => {
  await removeAll(worker)
  await watch[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function boot(name: string, devices: object = {}) {
  const vmi = fakeVmi(name, { domain: { devices } })
  await worker.sync(requestFor(vmi))
  await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  return refOf(vmi)
}

async function textOf(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const ALL: ConsoleLogOptions = { follow: false, timestamps: false }
const endOf = async (stream: Duplex): Promise<unknown> => (await once(stream, 'error'))[0]

test('taking a console over leaves an Event and a line that name both users; viewing leaves none', async () => {
  const guest = await boot('talks')
  const first = await worker.console(guest, { ...TYPING, user: 'alice' })
  const viewer = new Screen(await worker.console(guest, { ...TYPING, mode: 'view', user: 'victor' }))
  const ended = endOf(first)
  const second = await worker.console(guest, { ...TYPING, user: 'eve\nCRITICAL: all is lost' })
  expect(await ended).toMatchObject({ reason: 'displaced' })
  const report = await watch.report(guest.uid, ({ events }) => events.at(-1)?.reason === 'SessionTakenOver')
  expect(report.events.at(-1)).toMatchObject({
    type: 'Normal',
    message: 'eve\\u{a}CRITICAL: all is lost took the console over from alice.',
  })
  expect(log.lines).toContainEqual({
    level: 'info',
    text: 'a session was taken over',
    fields: { vmi: guest, stream: 'console', from: 'alice', to: 'eve\\u{a}CRITICAL: all is lost' },
  })
  await expect(worker.console(guest, { ...TYPING, preserveSession: true })).rejects.toMatchObject({
    code: 503,
  })
  second.write('hello\n')
  await viewer.shows(/hello/)
  expect(report.events.filter(({ reason }) => reason === 'SessionTakenOver')).toHaveLength(1)
})

test('a client that has gone takes over from nobody', async () => {
  const guest = await boot('talks')
  const holder = await worker.console(guest, TYPING)
  const watching = await worker.vnc(guest, WATCHING)
  const gone = AbortSignal.abort(new Error('gone'))
  await expect(worker.console(guest, TYPING, gone)).rejects.toThrow('gone')
  await expect(worker.vnc(guest, WATCHING, gone)).rejects.toThrow('gone')
  expect([holder.destroyed, watching.destroyed]).toEqual([false, false])
})

test('a display is shared by as many as may; taking it over leaves an Event', async () => {
  const guest = await boot('seen')
  const two = { ...WATCHING, maxSessions: 2 }
  const [first, second] = [
    await worker.vnc(guest, { ...two, user: 'a' }),
    await worker.vnc(guest, { ...two, user: 'b' }),
  ]
  for (const stream of [first, second]) expect(String((await once(stream, 'data'))[0])).toBe('RFB 003.008\n')
  await expect(worker.vnc(guest, { ...two, preserveSession: true })).rejects.toMatchObject({ code: 503 })
  const ended = endOf(first)
  await worker.vnc(guest, { ...two, user: 'c' })
  expect(await ended).toMatchObject({ reason: 'displaced' })
  expect(second.destroyed).toBe(false)
  const { events } = await watch.report(
    guest.uid,
    (report) => report.events.at(-1)?.reason === 'SessionTakenOver',
  )
  expect(events.at(-1)?.message).toBe('c took the VNC over from a.')
})

test('four clients bring USB devices at a time, a fifth is 503; a slot that is given back is used again', async () => {
  const guest = await boot('usb', { clientPassthrough: {} })
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => worker.usbredir(guest)))
  const streams = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(streams).toHaveLength(4)
  const refusals = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  expect(refusals).toEqual(Array.from({ length: 16 }, () => expect.objectContaining({ code: 503 })))
  for (const [index, stream] of streams.entries()) {
    stream.write(`device ${index}`)
    expect(String((await once(stream, 'data'))[0])).toBe(`device ${index}`)
  }
  const closed = once(streams[2]!, 'close')
  streams[2]!.destroy()
  await closed
  const again = await worker.usbredir(guest)
  again.write('again')
  expect(String((await once(again, 'data'))[0])).toBe('again')
})

test('a guest without places for USB devices of clients is 409', async () => {
  const guest = await boot('plain')
  await expect(worker.usbredir(guest)).rejects.toMatchObject({ code: 409, details: { name: 'plain' } })
})

test('C8: a screenshot is a PNG, its file was for nobody else and is gone; the pointer is moved where that is asked for', async () => {
  const guest = await boot('seen')
  const screen = new Screen(await worker.console(guest, TYPING))
  const { width, height, colours } = decodePng(await worker.screenshot(guest, { moveCursor: false }))
  expect([width, height]).toEqual([64, 32])
  expect(colours.size).toBeGreaterThan(1)
  await screen.shows(/screendump 600\n/)
  expect(screen.text).not.toContain('input')
  await worker.screenshot(guest, { moveCursor: true })
  await screen.shows(/input .*"rel".*"value":1}}/)
  expect(readdirSync(join(home.runDir, guest.uid)).filter((name) => name.includes('png'))).toEqual([])
})

test('what QEMU puts in the place of the file is not read, and what is no picture is an error', async () => {
  const guest = await boot('blank')
  const file = join(home.runDir, guest.uid, 'screen.png')
  const secret = join(home.root, 'secret')
  writeFileSync(secret, 'secret')
  symlinkSync(secret, file)
  await expect(worker.screenshot(guest, { moveCursor: false })).rejects.toMatchObject({
    code: 500,
    message: expect.stringContaining('no PNG'),
  })
  expect(statSync(secret).size).toBe(6)
  rmSync(secret)
})

test('a guest without a display has no screenshot, one that does not run is 409', async () => {
  const guest = await boot('bare', { autoattachGraphicsDevice: false })
  await expect(worker.screenshot(guest, { moveCursor: false })).rejects.toMatchObject({ code: 400 })
  const vmi = fakeVmi('dies')
  await worker.sync(requestFor(vmi))
  await expect(worker.screenshot(refOf(vmi), { moveCursor: false })).rejects.toMatchObject({ code: 409 })
})

test('the log of a console is read while the guest runs and after it has ended, until it is removed', async () => {
  const guest = await boot('talks')
  const following = worker.consoleLog(guest, { ...ALL, follow: true }).then(textOf)
  const screen = new Screen(await worker.console(guest, TYPING))
  screen.type('first')
  screen.type('second')
  await screen.shows(/second/)
  // It is written there after it has been shown.
  await expect.poll(async () => textOf(await worker.consoleLog(guest, ALL))).toBe('login: first\nsecond\n')
  expect(await textOf(await worker.consoleLog(guest, { ...ALL, tailLines: 1 }))).toBe('second\n')
  expect(await textOf(await worker.consoleLog(guest, { ...ALL, timestamps: true, limitBytes: 26 }))).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z l$/,
  )
  const pid = pidOf(home, guest.uid)
  if (pid === undefined) throw new Error('it does not run')
  process.kill(pid, 'SIGKILL')
  await watch.report(guest.uid, ({ phase }) => phase === 'Failed')
  expect(await following).toBe('login: first\nsecond\n')
  expect(await textOf(await worker.consoleLog(guest, { ...ALL, follow: true, tailLines: 1 }))).toBe(
    'second\n',
  )
  await worker.remove(guest, { graceSeconds: 0 })
  await watch.removed(guest.uid)
  await expect(worker.consoleLog(guest, ALL)).rejects.toMatchObject({ code: 404 })
})

test('a guest whose prints are not to be kept has a console and no log', async () => {
  const guest = await boot('talks', { logSerialConsole: false })
  const screen = new Screen(await worker.console(guest, TYPING))
  screen.type('secret')
  await screen.shows(/secret/)
  await expect(worker.consoleLog(guest, ALL)).rejects.toMatchObject({ code: 400 })
  expect(statSync(join(home.stateDir, guest.uid, 'serial0.log')).size).toBe(0)
})

test('one who follows a log is told when the worker ends, and goes on with the next', async () => {
  const guest = await boot('talks')
  const ended = endOf((await worker.consoleLog(guest, { ...ALL, follow: true })).resume())
  await watch[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
  expect(await ended).toMatchObject({ reason: 'draining' })
  worker = await openFakeWorker(home, { log })
  watch = new WorkerWatch(worker)
  expect(await textOf(await worker.consoleLog(guest, ALL))).toMatch(/^login: /)
})
