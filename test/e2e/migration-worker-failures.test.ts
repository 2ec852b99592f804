import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import {
  countingVmi,
  countsIn,
  depart,
  makeMigrationTls,
  printed,
  QUICK,
  reaches,
} from '../helpers/migration.ts'
import { gapIn, TestNode } from '../helpers/two-nodes.ts'
import { pidOf, refOf } from '../helpers/worker.ts'

const SLOW = { bandwidthBytes: 6 * 1024 * 1024 }
const LONG = { timeout: 300_000 }

requireQemu()('guests that move when something breaks', () => {
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    a = await TestNode.open('node-a')
    b = await TestNode.open('node-b')
  })
  afterEach(async () => {
    await a.clear()
    await b.clear()
  })
  afterAll(async () => {
    await a[Symbol.asyncDispose]()
    await b[Symbol.asyncDispose]()
  })

  test('the QEMU that waits is killed: the guest goes on where it is', LONG, async () => {
    const vmi = countingVmi('stayer')
    await a.boot(vmi)
    const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, options: SLOW })
    await sleep(700)
    process.kill(pidOf(b.home, vmi.metadata.uid) ?? 0, 'SIGKILL')
    expect(await reaches(a.worker, journey, 'failed')).not.toHaveProperty('guestLost')
    expect(await reaches(b.worker, journey, 'failed')).not.toHaveProperty('guestLost')
    await a.counts(vmi, 3)
    expect(gapIn(printed(a.home, vmi))).toBeUndefined()
    await b.worker.cancelMigration({ guest: refOf(vmi), migrationUid: journey.uid })
    await b.forgets(vmi)
  })

  test('both workers are gone for a while on the way: the next ones see it through', LONG, async () => {
    const vmi = countingVmi('orphan')
    await a.boot(vmi)
    const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, options: SLOW })
    await sleep(700)
    await a.close()
    await b.close()
    await sleep(300)
    await b.open()
    await a.open()
    expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
    await reaches(a.worker, journey, 'handedOver')
    const text = await a.release(journey)
    await b.counts(vmi, 3)
    expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
  })

  test(
    'the guest arrives while the worker of the target is gone: the next one lets it go on',
    LONG,
    async () => {
      const vmi = countingVmi('early')
      await a.boot(vmi)
      const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, onReady: () => b.close() })
      await reaches(a.worker, journey, 'handedOver')
      await sleep(300)
      expect(countsIn(printed(b.home, vmi))).toEqual([])
      await b.open()
      expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
      const text = await a.release(journey)
      await b.counts(vmi, 3)
      expect(gapIn(text + printed(b.home, vmi))).toBeUndefined()
    },
  )

  test(
    'the target dies after it was given the guest and before it ran: the source has it back when it is told so',
    LONG,
    async () => {
      const vmi = countingVmi('returner')
      const ref = refOf(vmi)
      await a.boot(vmi)
      const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, onReady: () => b.close() })
      await reaches(a.worker, journey, 'handedOver')
      process.kill(pidOf(b.home, vmi.metadata.uid) ?? 0, 'SIGKILL')
      await b.open()
      expect(await reaches(b.worker, journey, 'failed')).not.toHaveProperty('guestLost')
      const migration = { guest: ref, migrationUid: journey.uid }
      // A worker that was gone meanwhile does not let it run by itself either.
      await a.close()
      await a.open()
      const before = countsIn(printed(a.home, vmi)).length
      await sleep(500)
      expect(countsIn(printed(a.home, vmi))).toHaveLength(before)
      await expect(a.worker.pause(ref)).rejects.toMatchObject({ code: 409 })
      await expect(a.worker.reclaimMigration(migration, 1)).rejects.toMatchObject({ code: 409 })
      await a.worker.reclaimMigration(migration, 3)
      expect(await reaches(a.worker, journey, 'failed')).not.toHaveProperty('guestLost')
      await a.counts(vmi, 3)
      expect(gapIn(printed(a.home, vmi))).toBeUndefined()
      expect(await a.worker.report(ref)).toMatchObject({ phase: 'Running', epoch: 3 })
    },
  )

  test('a source with the certificate of another migration is not let in, and goes on', LONG, async () => {
    const vmi = countingVmi('stranger')
    await a.boot(vmi)
    const wrong = await makeMigrationTls('another')
    const uid = 'f0000000-0000-4000-8000-000000000001'
    const ref = { guest: refOf(vmi), migrationUid: uid }
    const right = await makeMigrationTls(uid)
    const facts = await a.worker.migrationFacts(ref)
    const sync = { epoch: 2, vmi, secrets: {}, configMaps: {}, config: { allowEmulation: true } }
    const target = await b.worker.prepareIncoming({ ...ref, sync, facts, tls: right.target })
    // Repeated, as a controller that has just started would.
    expect(await b.worker.prepareIncoming({ ...ref, sync, facts, tls: right.target })).toEqual(target)
    const tls = { ...wrong.source, ca: right.source.ca, peerName: right.source.peerName }
    await a.worker.startOutgoing({ ...ref, epoch: 1, target, options: QUICK, tls })
    await reaches(a.worker, { uid, vmi }, 'failed')
    await a.counts(vmi, 3)
    expect(gapIn(printed(a.home, vmi))).toBeUndefined()
  })
})
