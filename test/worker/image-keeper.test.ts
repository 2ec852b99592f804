import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { keepImagesFew } from '../../src/worker/image-keeper.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { fakeVmi, openFakeWorker } from '../helpers/fake-worker.ts'
import { makeTestImage } from '../helpers/images.ts'
import { TestRegistry } from '../helpers/registry.ts'
import { eventually } from '../helpers/server.ts'
import { makeHome, refOf, requestFor, silentLog, WorkerWatch } from '../helpers/worker.ts'

const DAY = 24 * 60 * 60_000

test('the image of a guest stays while there is a guest, over a restart of its worker, and goes a week later', async () => {
  const stack = new AsyncDisposableStack()
  onTestFinished(() => stack.disposeAsync())
  const home = stack.use(await makeHome())
  const registry = stack.use(await TestRegistry.start())
  const kernel = await makeTestImage([[{ name: 'boot/vmlinuz', data: 'a kernel' }]])
  const image = registry.push('team/kernel', 'v1', kernel)
  const store = { dir: join(home.root, 'images'), log: silentLog, dispatcher: registry.agent }
  const images = stack.use(await openImageStore(store))
  let worker = await openFakeWorker(home, { images })
  stack.defer(() => worker[Symbol.asyncDispose]())

  const kernelBoot = { container: { image, kernelPath: '/boot/vmlinuz' } }
  const vmi = fakeVmi('booted', { domain: { firmware: { kernelBoot }, devices: {} } })
  {
    await using watch = new WorkerWatch(worker)
    await worker.sync(requestFor(vmi))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
  }
  const file = await images.file(await images.ensure(image), '/boot/vmlinuz')

  const clock = createFakeClock(Date.now())
  const limits = { unusedMs: 7 * DAY, highPercent: 100 }
  let looks = 0
  const counted = {
    dropUses: (isGone: (holder: string) => boolean | Promise<boolean>) => images.dropUses(isGone),
    async collect(...args: Parameters<typeof images.collect>) {
      const removed = await images.collect(...args)
      looks += 1
      return removed
    },
  }
  const stateDir = realpathSync(home.stateDir)
  stack.use(keepImagesFew({ images: counted, stateDir, limits, clock, log: silentLog }))
  const pass = async (ms: number) => {
    await eventually('it waits', 20_000, async () => clock.pending() > 0)
    const before = looks
    clock.advance(ms)
    await eventually('it has looked', 20_000, async () => looks > before)
  }

  await pass(30 * DAY)
  expect(existsSync(file)).toBe(true)
  await worker[Symbol.asyncDispose]()
  worker = await openFakeWorker(home, { images })
  await pass(30 * DAY)
  expect(existsSync(file)).toBe(true)

  {
    await using watch = new WorkerWatch(worker)
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(vmi.metadata.uid)
  }
  await pass(6 * DAY)
  expect(existsSync(file)).toBe(true)
  await pass(2 * DAY)
  expect(existsSync(file)).toBe(false)
})
