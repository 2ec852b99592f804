import { expect, test } from 'vitest'
import { holdingsOf } from '../../../src/controllers/vmi/placed.ts'
import { NODES, VMIMS } from '../../../src/kinds/table.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { runningOn, startMovingWorld } from '../../helpers/moving-guests.ts'
import type { MovingNode, MovingWorld } from '../../helpers/moving-guests.ts'

/** Brings a migration to a step at which the controllers end; what is given back lets it go on. */
const STEPS: Record<string, (world: MovingWorld) => Promise<() => Promise<unknown>>> = {
  async Scheduling(world) {
    await world.migrate('move', { addedNodeSelector: { disk: 'ssd' } })
    await world.inPhase('move', 'Scheduling')
    return () => {
      const body = { metadata: { labels: { disk: 'ssd' } } }
      return world.store.patch(NODES, '', 'node-b', { type: 'merge', body })
    }
  },
  async PreparingTarget(world) {
    world.b.isSlow = true
    await world.migrate()
    await world.until(() => world.b.incoming.length > 0)
    await world.inPhase('move', 'PreparingTarget')
    return async () => void (world.b.isSlow = false)
  },
  async TargetReady(world) {
    world.a.refuse.startOutgoing = new Error('connection reset')
    await world.migrate()
    await world.inPhase('move', 'TargetReady')
    return async () => void (world.a.refuse.startOutgoing = undefined)
  },
  async Running(world) {
    await world.migrate()
    await world.inPhase('move', 'Running')
    return async () => {}
  },
  async 'begun, and not noted'(world) {
    const startOutgoing: MovingNode['startOutgoing'] = world.a.startOutgoing.bind(world.a)
    world.a.startOutgoing = async (request) => {
      await startOutgoing(request)
      throw new Error('the answer was lost')
    }
    await world.migrate()
    await world.until(() => world.a.outgoing.length > 0)
    return async () => {}
  },
}

test.each(Object.keys(STEPS))(
  'controllers that restart at %s bring the migration to its end',
  async (step) => {
    const world = await startMovingWorld()
    const goOn = await STEPS[step]?.(world)
    await world.restart()
    await goOn?.()
    await world.inPhase('move', 'Running')
    const { metadata } = (await world.vmim('move')) ?? {}
    await world.until(() => world.a.guests.get(world.uid)?.migration?.phase === 'running')
    world.arrive(metadata?.uid ?? '')
    await world.inPhase('move', 'Succeeded')
    const vmi = await world.vmiUntil('web', ({ status }) => status?.nodeName === 'node-b')
    expect(holdingsOf(vmi)).toEqual([{ nodeName: 'node-b', epoch: 2 }])
    expect(runningOn([world.a, world.b], world.uid)).toBe(1)
    expect(new Set(world.a.outgoing.map(({ migrationUid }) => migrationUid)).size).toBe(1)
  },
)

test.each([
  ['handed over', (world: MovingWorld) => world.a.move(world.uid, { phase: 'handedOver' })],
  ['arrived', () => {}],
])('a guest that has %s while no controller was there is taken note of', async (_what, happen) => {
  const world = await startMovingWorld()
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  const restarting = world.restart()
  happen(world)
  await restarting
  world.arrive(metadata.uid)
  await world.inPhase('move', 'Succeeded')
  await world.until(() => world.a.releases.length > 0)
  expect((await world.vmi('web'))?.status?.nodeName).toBe('node-b')
})

test('a failure that happened while no controller was there is taken note of', async () => {
  const world = await startMovingWorld()
  await world.migrate()
  await world.inPhase('move', 'Running')
  const restarting = world.restart()
  world.a.move(world.uid, { phase: 'failed', failure: 'timeout: too slow' })
  await restarting
  const over = await world.inPhase('move', 'Failed')
  expect(over.status?.migrationState?.failureReason).toBe('timeout: too slow')
  await world.until(() => !world.b.guests.has(world.uid))
})

test('a reclaim that was decided is carried out by the next controller', async () => {
  const world = await startMovingWorld()
  await world.migrate()
  await world.inPhase('move', 'Running')
  const reclaimMigration: MovingNode['reclaimMigration'] = world.a.reclaimMigration.bind(world.a)
  world.a.reclaimMigration = () => Promise.reject(new Error('connection reset'))
  world.a.move(world.uid, { phase: 'handedOver' })
  world.b.move(world.uid, { phase: 'failed', failure: 'storage: locked' })
  await world.inPhase('move', 'Failed')
  await world.restart()
  world.a.reclaimMigration = reclaimMigration
  await world.until(() => world.a.reclaims.length > 0)
  expect(world.a.reclaims[0]?.epoch).toBe(3)
})

test('a migration deleted while no controller was there is taken back', async () => {
  const world = await startMovingWorld()
  await world.migrate()
  await world.inPhase('move', 'Running')
  const restarting = world.restart()
  await world.store.delete(VMIMS, 'default', 'move')
  await restarting
  await world.until(async () => (await world.vmim('move')) === undefined)
  expect(world.a.cancels).not.toEqual([])
  await turn()
  expect((await world.vmi('web'))?.status).toMatchObject({ nodeName: 'node-a', phase: 'Running' })
})
