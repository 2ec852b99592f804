import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { countsIn, printed, QUICK, reaches } from '../helpers/migration.ts'
import { Traveller } from '../helpers/traveller.ts'
import { gapIn, type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import { pidOf, Screen, TYPING } from '../helpers/worker.ts'

/** Slow enough that something can happen on the way. */
const SLOW = { bandwidthBytes: 4 * 1024 * 1024 }
const LONG = { timeout: 300_000 }

requireQemu()('guests move between two workers of one machine', () => {
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode
  let guest: Traveller | undefined
  let it: Traveller

  beforeAll(async () => {
    nodes = await TwoNodes.open({ migrationNetworks: { fast: '127.87.0.9' } })
    ;({ a, b } = nodes)
  })
  beforeEach(async () => {
    it = guest ??= await Traveller.boot('wanderer', a, b)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return
    guest = undefined
    await nodes.clear()
  })
  afterAll(() => nodes[Symbol.asyncDispose]())

  test(
    'a migration that is cancelled on its way leaves the guest where it is, and the next one succeeds',
    LONG,
    async () => {
      const { from, ref, epoch } = it
      const first = await it.depart({ options: SLOW })
      await sleep(1_000)
      const cancelled = { guest: ref, migrationUid: first.uid }
      await expect(from.worker.pause(ref)).rejects.toMatchObject({ code: 409 })
      await from.worker.cancelMigration(cancelled)
      expect(await reaches(from.worker, first, 'failed')).toMatchObject({
        failure: expect.stringMatching(/^aborted: /) as string,
        abortStatus: 'Succeeded',
      })
      await it.stays(first)
      expect(await it.countsOn()).toBeUndefined()
      const again = from.worker.startOutgoing({
        ...cancelled,
        epoch,
        target: first.reply,
        options: { ...QUICK },
      })
      await expect(again).rejects.toMatchObject({ code: 409 })

      await it.arrives(await it.depart())
      expect(await it.countsOn()).toBeUndefined()
    },
  )

  test('a guest that its user has paused arrives paused, over the network that was named', LONG, async () => {
    const { from, to, vmi, ref } = it
    await from.worker.pause(ref)
    await expect(it.depart({ network: 'slow' })).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining(`node ${to.name} has no address on the network "slow"`) as string,
    })
    const journey = await it.depart({ encrypted: false, network: 'fast' })
    expect(journey.reply.address).toBe('127.87.0.9')
    await it.arrives(journey)
    expect((await to.worker.report(ref)).conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
    )
    await sleep(500)
    expect(countsIn(printed(to.home, vmi))).toEqual([])
    await to.worker.unpause(ref)
    expect(await it.countsOn()).toBeUndefined()
  })

  test(
    'ten times back and forth: every number is printed once, and the disk has every record',
    LONG,
    async () => {
      const { vmi, ref, epoch } = it
      const downtimes: (number | undefined)[] = []
      for (let round = 1; round <= 10; round += 1) {
        const { from, to } = it
        const journey = await it.depart()
        expect(await reaches(to.worker, journey, 'done', 'failed')).toMatchObject({ mode: 'PreCopy' })
        await to.counts(vmi, 5)
        downtimes.push((await from.worker.report(ref)).migration?.progress?.downtimeMs)
        await it.arrives(journey)
      }
      process.stderr.write(`downtimes in ms, as QEMU has them: ${downtimes.join(', ')}\n`)
      const { from } = it
      expect(await from.worker.report(ref)).toMatchObject({ phase: 'Running', epoch: epoch + 10 })
      expect(pidOf(from.home, vmi.metadata.uid)).toBeGreaterThan(0)
      const screen = new Screen(await from.worker.console(ref, TYPING))
      screen.type('touch /tmp/stop')
      // It ends with that.
      guest = undefined
      const [, records] = await screen.shows(/checked (\d+) records, 0 bad/, 120_000)
      const { text } = it
      expect(gapIn(text)).toBeUndefined()
      expect(countsIn(text)).toHaveLength(Number(records))
    },
  )
})
