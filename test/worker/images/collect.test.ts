import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GcLimits } from '../../../src/worker/images/collect.ts'
import { openImageStore } from '../../../src/worker/images/store.ts'
import { makeTestImage, openTestStore } from '../../helpers/images.ts'
import { TestRegistry } from '../../helpers/registry.ts'
import { eventually } from '../../helpers/server.ts'

const HOUR = 60 * 60_000
const DAY = 24 * HOUR
/** A week without a use, or a disk that is taken to more than 85 percent. */
const LIMITS: GcLimits = { unusedMs: 7 * DAY, highPercent: 85 }

let open: AsyncDisposableStack
beforeEach(() => {
  open = new AsyncDisposableStack()
})
afterEach(async () => open.disposeAsync())

async function setUp() {
  const registry = open.use(await TestRegistry.start())
  const { store, dir } = open.use(await openTestStore({ dispatcher: registry.agent }))
  const push = async (name: string, text = name) => {
    const layers = [[{ name: 'boot/vmlinuz', data: text }], [{ name: 'etc/os', data: 'shared by all' }]]
    return registry.push(name, 'v1', await makeTestImage(layers))
  }
  const kernel = async (reference: string, holder?: string) => {
    const image = await store.ensure(reference, { ...(holder && { holder }), policy: 'Always' })
    const file = await store.file(image, '/boot/vmlinuz')
    return { file, text: () => readFile(file, 'utf8') }
  }
  /** Collects so much later, on a disk of which these percents are taken, one after the other. */
  const collect = (afterMs: number, percents: number[] = [50], limits = LIMITS) => {
    const left = [...percents]
    const usedPercent = async () => (left.length > 1 ? (left.shift() ?? 0) : (left[0] ?? 0))
    return store.collect(limits, { now: () => Date.now() + afterMs, usedPercent })
  }
  const count = async (folder: string) => (await readdir(join(dir, folder))).length
  return { registry, store, dir, push, kernel, collect, count }
}

test('an image goes a week after it was wanted last, with all that is its own', async () => {
  const { push, kernel, collect, count } = await setUp()
  const [one, two] = [await push('team/one'), await push('team/two')]
  const kept = await kernel(two, '/guests/u1')
  const gone = await kernel(one)
  expect(await collect(6 * DAY)).toEqual([])
  expect(await gone.text()).toBe('team/one')
  expect(await collect(8 * DAY)).toEqual([one])
  await expect(gone.text()).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await kept.text()).toBe('team/two')
  // Its manifest, its configuration and two layers, of which it shared one with the other.
  expect(await count('blobs/sha256')).toBe(4)
  expect(await count('references')).toBe(1)
  expect(await (await kernel(one)).text()).toBe('team/one')
})

test('what a guest has stays, however full the disk is, until the guest is gone; then a while', async () => {
  const { store, push, kernel, collect } = await setUp()
  const reference = await push('team/one')
  const { text } = await kernel(reference, '/guests/u1')
  expect(await collect(20 * DAY, [99])).toEqual([])
  await store.dropUses((holder) => holder === '/guests/other')
  expect(await collect(30 * DAY, [99])).toEqual([])
  await store.dropUses((holder) => holder === '/guests/u1')
  expect(await collect(36 * DAY, [50])).toEqual([])
  expect(await text()).toBe('team/one')
  expect(await collect(38 * DAY, [50])).toEqual([reference])
})

test('on a full disk the image whose use is longest ago goes first, until there is room', async () => {
  const { push, kernel, collect, store } = await setUp()
  const names = [await push('team/a'), await push('team/b'), await push('team/c')]
  for (const name of names) await kernel(name)
  await store.ensure(names[0] ?? '', { policy: 'IfNotPresent' })
  expect(await collect(HOUR, [85])).toEqual([])
  expect(await collect(HOUR, [99], { unusedMs: 0, highPercent: 100 })).toEqual([])
  // Room is made down to five percent below the limit.
  expect(await collect(HOUR, [86, 81, 80])).toEqual([names[1], names[2]])
  expect(await collect(HOUR, [86])).toEqual([names[0]])
})

test('what was pulled just now stays on a full disk', async () => {
  const { push, kernel, collect } = await setUp()
  const { text } = await kernel(await push('team/one'))
  expect(await collect(60_000, [99])).toEqual([])
  expect(await text()).toBe('team/one')
})

test('what a tag has led to goes with the last guest that has it', async () => {
  const { store, push, kernel, collect } = await setUp()
  const reference = await push('team/one', 'old')
  const old = await kernel(reference, '/guests/u1')
  await push('team/one', 'new')
  const now = await kernel(reference, '/guests/u2')
  expect(await collect(HOUR)).toEqual([])
  expect([await old.text(), await now.text()]).toEqual(['old', 'new'])
  await store.dropUses((holder) => holder === '/guests/u1')
  expect(await collect(HOUR)).toEqual([])
  await expect(old.text()).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await now.text()).toBe('new')
})

test('images that were made on this machine stay: no registry has them', async () => {
  const { store, collect } = await setUp()
  const made = 'virtgate.local/hello:latest'
  await store.import(made, [{ path: '/boot/vmlinuz', data: 'made here' }])
  expect(await collect(100 * DAY, [99])).toEqual([])
  const file = await store.file(await store.ensure(made), '/boot/vmlinuz')
  expect(await readFile(file, 'utf8')).toBe('made here')
})

test('nothing is removed while another process pulls into the same store, and its images are seen', async () => {
  const { registry, dir, push, collect, count } = await setUp()
  const log = { info() {}, warn() {} }
  const patient = { dir, log, dispatcher: registry.agent, sleep: async () => {} }
  const other = open.use(await openImageStore(patient))
  const asked = Promise.withResolvers<() => void>()
  let isFirst = true
  registry.faults.push((_request, response, path) => {
    // The configuration comes first, and is tried again when the connection breaks.
    if (!isFirst || !path.includes('/blobs/')) return false
    isFirst = false
    asked.resolve(() => response.destroy())
    return true
  })
  const reference = await push('team/one')
  const pulling = other.ensure(reference, { holder: '/guests/u9' })
  const release = await asked.promise
  await eventually('the rest of it is here', 20_000, async () => (await count('blobs/sha256')) === 2)
  expect(await collect(8 * DAY, [99])).toEqual([])
  expect(await count('blobs/sha256')).toBe(2)
  release()
  const image = await pulling
  expect(await collect(8 * DAY, [99])).toEqual([])
  expect(await readFile(await other.file(image, '/boot/vmlinuz'), 'utf8')).toBe('team/one')
})
