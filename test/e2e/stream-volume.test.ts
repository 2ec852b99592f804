/**
 * Much through a console, and many consoles: client, API server, worker, with TLS between the last two, and a stand-in
 * for QEMU that prints faster than any guest can here.
 */
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { fakeVmi, openFakeWorker } from '../helpers/fake-worker.ts'
import { pattern } from '../helpers/pattern.ts'
import { openTwoHops, type TwoHops } from '../helpers/two-hops.ts'
import { makeHome, refOf, removeAll, requestFor, type WorkerHome, WorkerWatch } from '../helpers/worker.ts'

const MIB = 1024 ** 2
setFlagsFromString('--expose-gc')
/** Collects garbage. */
const collect: () => void = runInNewContext('gc')
const CONSOLE = '/virtualmachineinstances/vm1/console'

let home: WorkerHome
let worker: Worker
let watch: WorkerWatch
let hops: TwoHops | undefined

beforeEach(async () => {
  home = await makeHome()
  worker = await openFakeWorker(home, { clock: systemClock })
  watch = new WorkerWatch(worker)
})
afterEach(async () => {
  await hops?.[Symbol.asyncDispose]()
  hops = undefined
  await removeAll(worker)
  await watch[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function boot(name: string): Promise<TwoHops> {
  const vmi = fakeVmi(name)
  await worker.sync(requestFor(vmi))
  await watch.report(refOf(vmi).uid, ({ phase }) => phase === 'Running')
  hops = await openTwoHops(worker, vmi)
  return hops
}

/** Counts and sums up what comes, as fast as it is let. */
class Meter {
  bytes = 0
  readonly hash: Hash = createHash('sha256')
  #until = Number.POSITIVE_INFINITY
  #reached = Promise.withResolvers<string>()
  text = ''

  constructor(until = Number.POSITIVE_INFINITY) {
    this.#until = until
  }

  take(bytes: Buffer): void {
    const wanted = bytes.subarray(0, this.#until - this.bytes)
    this.hash.update(wanted)
    this.bytes += wanted.length
    this.text = (this.text + bytes.subarray(-200).toString('latin1')).slice(-400)
    if (this.bytes >= this.#until) this.#reached.resolve(this.hash.copy().digest('hex'))
  }

  get sum(): Promise<string> {
    return this.#reached.promise
  }
}

const SIZE = 64 * MIB

test('64 MiB come out of a guest byte for byte, while another client reads slowly and loses nothing either', async () => {
  const { api } = await boot('volume')
  const expected = createHash('sha256').update(pattern(SIZE)).digest('hex')
  const writer = await api.open(CONSOLE)
  const slow = await api.open(`${CONSOLE}?mode=view`)
  const [fastMeter, slowMeter] = [new Meter(SIZE), new Meter(SIZE)]
  // A client that reads 1 KiB a second: what it has in its own buffers comes on top.
  const crawl = crawling(slow.duplex, slowMeter)
  writer.duplex.on('data', (bytes: Buffer) => fastMeter.take(bytes))
  const heapBefore = memory()
  const began = performance.now()
  writer.duplex.write(`send ${SIZE}\n`)
  expect(await fastMeter.sum).toBe(expected)
  const seconds = (performance.now() - began) / 1000
  console.log(`64 MiB from the guest in ${seconds.toFixed(1)} s beside a reader at 1 KiB/s`)
  expect(slowMeter.bytes).toBeLessThan(MIB)
  expect(memory() - heapBefore).toBeLessThan(64 * MIB)
  crawl.hurry()
  expect(await slowMeter.sum).toBe(expected)
  writer.socket.terminate()
  slow.socket.terminate()
})

test('64 MiB go into a guest byte for byte', async () => {
  const { api } = await boot('volume')
  const bytes = pattern(SIZE, 5)
  const { duplex, socket } = await api.open(CONSOLE)
  const meter = new Meter()
  duplex.on('data', (chunk: Buffer) => meter.take(chunk))
  const began = performance.now()
  duplex.write(`take ${SIZE}\n`)
  for (let at = 0; at < SIZE; at += 64 * 1024) {
    if (!duplex.write(bytes.subarray(at, at + 64 * 1024))) await once(duplex, 'drain')
  }
  const sum = createHash('sha256').update(bytes).digest('hex')
  await expect.poll(() => meter.text, { timeout: 60_000 }).toContain(`taken ${sum}`)
  console.log(`64 MiB into the guest in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  socket.terminate()
})

const COUNT = 500
/** The full test takes 600. */
const IDLE_SECONDS = Number(process.env['VIRTGATE_IDLE_SECONDS'] ?? 5)

test(
  `${COUNT} consoles that are open for ${IDLE_SECONDS} s leave no descriptor, listener or memory behind`,
  { timeout: IDLE_SECONDS * 1000 + 240_000 },
  async () => {
    const { api } = await boot('talks')
    // Once before, so that what is made on first use is not counted.
    await openMany(api, 20)
    await settled()
    const before = { ...counts(), memory: memory() }
    const sockets = await openMany(api, COUNT, IDLE_SECONDS)
    expect(sockets).toBe(COUNT)
    await settled()
    await expect.poll(() => counts().files, { timeout: 20_000 }).toBe(before.files)
    // Those of this test come on top.
    expect(counts().timers).toBeLessThanOrEqual(before.timers + 3)
    const grown = memory() - before.memory
    console.log(`${COUNT} consoles left ${(grown / MIB).toFixed(1)} MiB`)
    expect(grown).toBeLessThan(32 * MIB)
  },
)

/** Opens so many viewers, sees that all of them are alive after a while, and closes them. */
async function openMany(api: TwoHops['api'], count: number, seconds = 0): Promise<number> {
  const sessions = []
  for (let index = 0; index < count; index += 1) sessions.push(await api.open(`${CONSOLE}?mode=view`))
  let heard = 0
  const seen = sessions.map(async ({ duplex }) => {
    await once(duplex, 'data')
    heard += 1
  })
  await sleep(seconds * 1000)
  const writer = await api.open(CONSOLE)
  writer.duplex.write('all there?\n')
  await Promise.all(seen)
  for (const { duplex, socket } of [...sessions, writer]) {
    const closed = once(socket, 'close')
    duplex.destroy()
    socket.terminate()
    await closed
  }
  return heard
}

const counts = () => ({
  files: readdirSync('/proc/self/fd').length,
  timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
})

function memory(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function settled(): Promise<void> {
  await sleep(1000)
  collect()
  await sleep(100)
}

/** Reads 1 KiB a second, until it is to hurry. */
function crawling(duplex: Duplex, meter: Meter): { hurry: () => void } {
  const timer = setInterval(() => {
    const bytes: Buffer | null = duplex.read(1024)
    if (bytes) meter.take(bytes)
  }, 1000)
  return {
    hurry: () => {
      clearInterval(timer)
      duplex.on('data', (bytes: Buffer) => meter.take(bytes))
    },
  }
}
