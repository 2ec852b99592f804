import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ImageStore } from '../../src/worker/images/store.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  guestImages,
  guestVmi,
  makeHome,
  openTestWorker,
  refOf,
  requestFor,
  Screen,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

requireQemu()('a worker and its guests', () => {
  let home: WorkerHome
  let worker: Worker
  let images: ImageStore
  let watch: WorkerWatch

  beforeAll(async () => {
    home = await makeHome()
    images = await guestImages(home)
    worker = await openTestWorker(home, { images })
    watch = new WorkerWatch(worker)
  })
  afterAll(async () => {
    await watch?.[Symbol.asyncDispose]()
    for (const { guest } of (await snapshot(worker)) ?? []) {
      await worker.remove(guest, { graceSeconds: 0 })
    }
    await worker?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  test('start, console both ways, pause, unpause, power button, gone', async () => {
    const vmi = guestVmi('alpha')
    const guest = refOf(vmi)
    const began = performance.now()
    expect(await worker.sync(requestFor(vmi))).toMatchObject({ guest, phase: 'Scheduled' })
    const running = await watch.report(guest.uid, ({ phase }) => phase === 'Running')
    console.log(`sync to Running: ${Math.round(performance.now() - began)} ms`)
    expect(running.status).toMatchObject({
      machine: { type: expect.stringMatching(/^pc-q35-\d/) },
      memory: { guestAtBoot: '192Mi' },
      currentCPUTopology: { sockets: 1, cores: 1, threads: 1 },
      interfaces: [{ name: 'default', ipAddress: '10.0.2.2', mac: expect.stringMatching(/^02:/) }],
    })
    expect(running.conditions).toContainEqual(
      expect.objectContaining({ type: 'LiveMigratable', status: 'False', reason: 'DisksNotLiveMigratable' }),
    )
    const screen = new Screen(await worker.console(guest))
    await screen.shows(/Hello from virtgate guest alpha/)
    await screen.shows(/GUEST-READY/)
    screen.type('echo sum=$((40+2))')
    await screen.shows(/sum=42/)

    await worker.pause(guest)
    await worker.pause(guest)
    const paused = await worker.report(guest)
    expect(paused.conditions).toContainEqual(expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }))
    screen.type('echo still=$((40+3))')
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(screen.text).not.toContain('still=43')
    await worker.unpause(guest)
    await worker.unpause(guest)
    await screen.shows(/still=43/)
    expect((await worker.report(guest)).conditions.some(({ type }) => type === 'Paused')).toBe(false)

    await worker.remove(guest, { graceSeconds: 60 })
    await expect(worker.pause(guest)).rejects.toMatchObject({ code: 409 })
    await watch.removed(guest.uid)
    expect(screen.text).toContain('powering off')
    const last = watch.reports(guest.uid).at(-1)
    expect(last?.phase).toBe('Succeeded')
    expect(last?.events.map(({ reason }) => reason)).toEqual([
      'Created',
      'Started',
      'Paused',
      'Unpaused',
      'ShuttingDown',
    ])
    await expect(worker.remove(guest, { graceSeconds: 0 })).rejects.toMatchObject({ code: 404 })
  })
})

async function snapshot(worker: Worker | undefined) {
  if (!worker) return undefined
  const stop = new AbortController()
  for await (const update of worker.watch(stop.signal)) {
    if (update.type === 'snapshot') return update.guests
  }
  return undefined
}

