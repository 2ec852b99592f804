import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { countsIn, makeMigrationTls, printed, QUICK, reaches } from '../helpers/migration.ts'
import { Traveller } from '../helpers/traveller.ts'
import { type TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import { pidOf, requestFor } from '../helpers/worker.ts'

const SLOW = { bandwidthBytes: 12 * 1024 * 1024 }
const LONG = { timeout: 300_000 }

requireQemu()('guests that move when something breaks', () => {
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode
  let guest: Traveller | undefined
  let it: Traveller

  beforeAll(async () => {
    nodes = await TwoNodes.open()
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

  test('the QEMU that waits is killed: the guest goes on where it is', LONG, async () => {
    const { from, to, vmi } = it
    const journey = await it.depart({ options: SLOW })
    await sleep(700)
    process.kill(pidOf(to.home, vmi.metadata.uid) ?? 0, 'SIGKILL')
    expect(await reaches(from.worker, journey, 'failed')).not.toHaveProperty('guestLost')
    expect(await reaches(to.worker, journey, 'failed')).not.toHaveProperty('guestLost')
    await it.stays(journey)
    expect(await it.countsOn()).toBeUndefined()
  })

  test('both workers are gone for a while on the way: the next ones see it through', LONG, async () => {
    const { from, to } = it
    const journey = await it.depart({ options: SLOW })
    await sleep(700)
    await from.close()
    await to.close()
    await sleep(300)
    await to.open()
    await from.open()
    await it.arrives(journey)
    expect(await it.countsOn()).toBeUndefined()
  })

  test(
    'the guest arrives while the worker of the target is gone: the next one lets it go on',
    LONG,
    async () => {
      const { from, to, vmi } = it
      const journey = await it.depart({ onReady: () => to.close() })
      await reaches(from.worker, journey, 'handedOver')
      await sleep(300)
      expect(countsIn(printed(to.home, vmi))).toEqual([])
      await to.open()
      await it.arrives(journey)
      expect(await it.countsOn()).toBeUndefined()
    },
  )

  test(
    'the target dies after it was given the guest and before it ran: the source has it back when it is told so',
    LONG,
    async () => {
      const { from, to, vmi, ref, epoch } = it
      const journey = await it.depart({ onReady: () => to.close() })
      await reaches(from.worker, journey, 'handedOver')
      process.kill(pidOf(to.home, vmi.metadata.uid) ?? 0, 'SIGKILL')
      await to.open()
      expect(await reaches(to.worker, journey, 'failed')).not.toHaveProperty('guestLost')
      const migration = { guest: ref, migrationUid: journey.uid }
      // A worker that was gone meanwhile does not let it run by itself either.
      await from.close()
      await from.open()
      const before = countsIn(printed(from.home, vmi)).length
      await sleep(500)
      expect(countsIn(printed(from.home, vmi))).toHaveLength(before)
      await expect(from.worker.pause(ref)).rejects.toMatchObject({ code: 409 })
      await expect(from.worker.reclaimMigration(migration, epoch)).rejects.toMatchObject({ code: 409 })
      it.epoch = epoch + 2
      await from.worker.reclaimMigration(migration, it.epoch)
      expect(await reaches(from.worker, journey, 'failed')).not.toHaveProperty('guestLost')
      await it.stays(journey)
      expect(await it.countsOn()).toBeUndefined()
      expect(await from.worker.report(ref)).toMatchObject({ phase: 'Running', epoch: it.epoch })
    },
  )

  test('a source with the certificate of another migration is not let in, and goes on', LONG, async () => {
    const { from, to, vmi, epoch } = it
    const wrong = await makeMigrationTls('another')
    const uid = 'f0000000-0000-4000-8000-000000000001'
    const ref = { guest: it.ref, migrationUid: uid }
    const right = await makeMigrationTls(uid)
    const facts = await from.worker.migrationFacts(ref)
    const sync = requestFor(vmi, { epoch: epoch + 1 })
    const target = await to.worker.prepareIncoming({ ...ref, sync, facts, tls: right.target })
    // Repeated, as a controller that has just started would.
    expect(await to.worker.prepareIncoming({ ...ref, sync, facts, tls: right.target })).toEqual(target)
    const tls = { ...wrong.source, ca: right.source.ca, peerName: right.source.peerName }
    await from.worker.startOutgoing({ ...ref, epoch, target, options: QUICK, tls })
    await reaches(from.worker, { uid, vmi }, 'failed')
    await it.stays({ uid })
    expect(await it.countsOn()).toBeUndefined()
  })
})
