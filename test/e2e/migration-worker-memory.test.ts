import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openWire } from '../helpers/broken-wire.ts'
import { requireQemu } from '../helpers/guest.ts'
import { countsIn, depart, printed, reaches, writingVmi } from '../helpers/migration.ts'
import { eventually } from '../helpers/server.ts'
import { AS_ROOT, gapIn, type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import { pidOf, refOf, WorkerWatch } from '../helpers/worker.ts'

const MIB = 1024 ** 2
const LONG = { timeout: 300_000 }
/** Of 192 MiB; a GiB is the least that time is allowed for. */
const WRITTEN_MIB = 16
/** What the guest writes anew while this is sent is more than what was sent. */
const NARROW = { bandwidthBytes: 16 * MIB, maxDowntimeMs: 100 }
/** Its memory follows the guest, slowly enough that the way can break meanwhile. */
const FOLLOWS = {
  ...NARROW,
  bandwidthBytes: 8 * MIB,
  allowPostCopy: true,
  completionSecondsPerGiB: 1,
}

requireQemu()('guests that write to their memory faster than it is sent', () => {
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    // Root may handle page faults everywhere, which post-copy takes.
    nodes = await TwoNodes.open(AS_ROOT)
    ;({ a, b } = nodes)
  })
  afterEach(() => nodes.clear())
  afterAll(() => nodes[Symbol.asyncDispose]())

  test('stay where nothing is allowed, and arrive where they may be slowed down', LONG, async () => {
    const vmi = writingVmi('writer', WRITTEN_MIB)
    await a.boot(vmi)
    const strict = { ...NARROW, completionSecondsPerGiB: 12 }
    const first = await depart(a.worker, b.worker, vmi, { epoch: 1, options: strict })
    // What QEMU says of the memory while it is sent is told at once.
    const rates = await eventually('how fast it writes and is sent is told', 60_000, async () => {
      const readings = await a.worker.metrics()
      const of = (what: string) => readings.find(({ name }) => name.endsWith(what))?.value ?? 0
      const found = ['_migration_dirty_memory_rate_bytes', '_migration_memory_transfer_rate_bytes'].map(of)
      return found.every((rate) => rate > 0) && found
    })
    expect(Math.max(...rates)).toBeLessThan(10 * 1024 * MIB)
    const stayed = await reaches(a.worker, first, 'failed', 'handedOver')
    expect(stayed).toMatchObject({ phase: 'failed', failure: expect.stringMatching(/^timeout: /) as string })
    expect(stayed.progress?.iteration).toBeGreaterThan(1)
    await b.worker.cancelMigration({ guest: refOf(vmi), migrationUid: first.uid })
    await b.forgets(vmi)

    const slowing = { ...NARROW, completionSecondsPerGiB: 150, allowAutoConverge: true }
    const second = await depart(a.worker, b.worker, vmi, { epoch: 1, options: slowing })
    expect(await reaches(b.worker, second, 'done', 'failed')).toMatchObject({
      phase: 'done',
      mode: 'PreCopy',
    })
    await reaches(a.worker, second, 'handedOver')
    const text = await a.release(second)
    await b.counts(vmi, 3)
    expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
  })

  test('whose memory follows them get the rest of it after the network was broken', LONG, async () => {
    const vmi = writingVmi('follower', WRITTEN_MIB)
    await using wire = openWire()
    await a.boot(vmi)
    const journey = await depart(a.worker, b.worker, vmi, {
      epoch: 1,
      options: FOLLOWS,
      via: (reply) => wire.to(reply),
    })
    await using watch = new WorkerWatch(a.worker)
    await watch.report(vmi.metadata.uid, ({ migration }) => migration?.mode === 'PostCopy')
    await b.counts(vmi, 1)
    wire.cut()
    wire.mend()
    const dialled = wire.dialled()
    expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({
      phase: 'done',
      mode: 'PostCopy',
    })
    expect(await reaches(a.worker, journey, 'handedOver')).toMatchObject({ mode: 'PostCopy' })
    expect(wire.dialled()).toBeGreaterThan(dialled)
    const text = await a.release(journey)
    await b.counts(vmi, 3)
    expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
  })

  test(
    'are lost, and never run twice, where the target ends while memory is still missing',
    LONG,
    async () => {
      const vmi = writingVmi('lost', WRITTEN_MIB)
      await a.boot(vmi)
      const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, options: FOLLOWS })
      await using watch = new WorkerWatch(a.worker)
      await watch.report(vmi.metadata.uid, ({ migration }) => migration?.mode === 'PostCopy')
      await b.counts(vmi, 1)
      const before = countsIn(printed(a.home, vmi)).length
      process.kill(pidOf(b.home, vmi.metadata.uid) ?? 0, 'SIGKILL')
      expect(await reaches(b.worker, journey, 'failed')).toMatchObject({ guestLost: true })
      expect(await b.worker.report(refOf(vmi))).toMatchObject({ phase: 'Failed' })
      // What is left at the source has run elsewhere since: it is neither let go on nor started anew.
      const ref = { guest: refOf(vmi), migrationUid: journey.uid }
      await a.worker.cancelMigration(ref)
      await expect(a.worker.reclaimMigration(ref, 3)).rejects.toMatchObject({ code: 409 })
      await a.close()
      await a.open()
      expect((await a.worker.report(refOf(vmi))).migration).toMatchObject({
        phase: 'running',
        mode: 'PostCopy',
      })
      expect(countsIn(printed(a.home, vmi))).toHaveLength(before)
    },
  )
})
