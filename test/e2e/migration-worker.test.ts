import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { countingVmi, countsIn, depart, printed, QUICK, reaches } from '../helpers/migration.ts'
import { gapIn, TestNode } from '../helpers/two-nodes.ts'
import { pidOf, refOf, Screen } from '../helpers/worker.ts'

const CONSOLE = { mode: 'write', preserveSession: false, user: 'test' } as const
/** Slow enough that something can happen on the way. */
const SLOW = { bandwidthBytes: 4 * 1024 * 1024 }
const LONG = { timeout: 300_000 }

requireQemu()('guests move between two workers of one machine', () => {
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    a = await TestNode.open('node-a')
    b = await TestNode.open('node-b', { migrationNetworks: { fast: '127.87.0.9' } })
  })
  afterEach(async () => {
    await a.clear()
    await b.clear()
  })
  afterAll(async () => {
    await a[Symbol.asyncDispose]()
    await b[Symbol.asyncDispose]()
  })

  test(
    'ten times back and forth: every number is printed once, and the disk has every record',
    LONG,
    async () => {
      const vmi = countingVmi('traveller')
      await a.boot(vmi)
      let text = ''
      let [from, to] = [a, b]
      const downtimes: (number | undefined)[] = []
      for (let epoch = 1; epoch <= 10; epoch += 1) {
        const journey = await depart(from.worker, to.worker, vmi, { epoch })
        expect(await reaches(to.worker, journey, 'done', 'failed')).toMatchObject({
          phase: 'done',
          mode: 'PreCopy',
        })
        await reaches(from.worker, journey, 'handedOver')
        await to.counts(vmi, 5)
        downtimes.push((await from.worker.report(refOf(vmi))).migration?.progress?.downtimeMs)
        text += await from.release(journey)
        ;[from, to] = [to, from]
      }
      process.stderr.write(`downtimes in ms, as QEMU has them: ${downtimes.join(', ')}\n`)
      expect(await from.worker.report(refOf(vmi))).toMatchObject({ phase: 'Running', epoch: 11 })
      const screen = new Screen(await from.worker.console(refOf(vmi), CONSOLE))
      screen.type('touch /tmp/stop')
      const [, records] = await screen.shows(/checked (\d+) records, 0 bad/, 120_000)
      const all = text + printed(from.home, vmi)
      expect(gapIn(all)).toBeUndefined()
      expect(countsIn(all)).toHaveLength(Number(records))
      expect(pidOf(from.home, vmi.metadata.uid)).toBeGreaterThan(0)
    },
  )

  test(
    'a migration that is cancelled on its way leaves the guest where it is, and the next one succeeds',
    LONG,
    async () => {
      const vmi = countingVmi('undecided')
      const ref = refOf(vmi)
      await a.boot(vmi)
      const first = await depart(a.worker, b.worker, vmi, { epoch: 1, options: SLOW })
      await sleep(1_000)
      const cancelled = { guest: ref, migrationUid: first.uid }
      await expect(a.worker.pause(ref)).rejects.toMatchObject({ code: 409 })
      await a.worker.cancelMigration(cancelled)
      expect(await reaches(a.worker, first, 'failed')).toMatchObject({
        failure: expect.stringMatching(/^aborted: /) as string,
        abortStatus: 'Succeeded',
      })
      await a.counts(vmi, 3)
      await b.worker.cancelMigration(cancelled)
      await b.forgets(vmi)
      const again = a.worker.startOutgoing({
        ...cancelled,
        epoch: 1,
        target: first.reply,
        options: { ...QUICK },
      })
      await expect(again).rejects.toMatchObject({ code: 409 })

      const second = await depart(a.worker, b.worker, vmi, { epoch: 1 })
      expect(await reaches(b.worker, second, 'done', 'failed')).toMatchObject({ phase: 'done' })
      await reaches(a.worker, second, 'handedOver')
      const text = await a.release(second)
      await b.counts(vmi, 3)
      expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
    },
  )

  test('a guest that its user has paused arrives paused, over the network that was named', LONG, async () => {
    const vmi = countingVmi('sleeper')
    await a.boot(vmi)
    await a.worker.pause(refOf(vmi))
    await expect(depart(a.worker, b.worker, vmi, { epoch: 1, network: 'slow' })).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining('node node-b has no address on the network "slow"') as string,
    })
    const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, encrypted: false, network: 'fast' })
    expect(journey.reply.address).toBe('127.87.0.9')
    await reaches(b.worker, journey, 'done')
    await reaches(a.worker, journey, 'handedOver')
    const text = await a.release(journey)
    expect((await b.worker.report(refOf(vmi))).conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
    )
    await sleep(500)
    expect(countsIn(printed(b.home, vmi))).toEqual([])
    await b.worker.unpause(refOf(vmi))
    await b.counts(vmi, 3)
    expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
  })
})
