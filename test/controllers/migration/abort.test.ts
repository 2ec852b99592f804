import { expect, test } from 'vitest'
import { holdingsOf } from '../../../src/controllers/vmi/placed.ts'
import { KUBEVIRTS, VMIMS } from '../../../src/kinds/table.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { runningOn, startMovingWorld } from '../../helpers/moving-guests.ts'
import type { MovingWorld } from '../../helpers/moving-guests.ts'

async function limit(world: MovingWorld, migrations: Record<string, unknown>): Promise<void> {
  await world.store.create(KUBEVIRTS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { namespace: 'default', name: 'kubevirt' },
    spec: { configuration: { migrations } },
  })
}

const isGone = (world: MovingWorld) => world.until(async () => (await world.vmim('move')) === undefined)

/** Brings a migration to a step and keeps it there. */
const STEPS: Record<string, (world: MovingWorld) => Promise<void>> = {
  async Pending(world) {
    await limit(world, { parallelMigrationsPerCluster: 1 })
    await world.run('other')
    world.b.isSlow = true
    world.a.isSlow = true
    await world.migrate('busy', {}, 'other')
    await world.inPhase('busy', 'PreparingTarget')
    await world.migrate()
    await world.inPhase('move', 'Pending')
  },
  async Scheduling(world) {
    await world.migrate('move', { addedNodeSelector: { disk: 'ssd' } })
    await world.inPhase('move', 'Scheduling')
  },
  async PreparingTarget(world) {
    world.b.isSlow = true
    await world.migrate()
    await world.until(() => world.b.incoming.length > 0)
    await world.inPhase('move', 'PreparingTarget')
  },
  async TargetReady(world) {
    world.a.refuse.startOutgoing = new Error('connection reset')
    await world.migrate()
    await world.inPhase('move', 'TargetReady')
  },
  async Running(world) {
    await world.migrate()
    await world.inPhase('move', 'Running')
  },
}

test.each(Object.keys(STEPS))('a migration that is deleted while it is %s is taken back', async (step) => {
  const world = await startMovingWorld()
  await STEPS[step]?.(world)
  await world.store.delete(VMIMS, 'default', 'move')
  await isGone(world)
  world.b.isSlow = false
  await world.until(() => !world.b.guests.has(world.uid))
  const vmi = await world.vmi('web')
  expect(vmi?.status).toMatchObject({ phase: 'Running', nodeName: 'node-a' })
  expect(vmi && holdingsOf(vmi)).toEqual([{ nodeName: 'node-a', epoch: 1 }])
  const state = vmi?.status?.migrationState
  const wasBegun = step !== 'Pending' && step !== 'Scheduling'
  expect(state?.abortStatus).toBe(wasBegun ? 'Succeeded' : undefined)
  expect(state?.failureReason?.split(':')[0]).toBe(wasBegun ? 'aborted' : undefined)
  expect(runningOn([world.a, world.b], world.uid)).toBe(1)
})

test('the object tells that it was asked to end before it is gone', async () => {
  const world = await startMovingWorld()
  await world.migrate()
  await world.inPhase('move', 'Running')
  world.a.refuse.cancelMigration = new Error('connection reset')
  await world.store.delete(VMIMS, 'default', 'move')
  const asked = await world.vmimUntil('move', ({ status }) => (status?.conditions ?? []).length > 0)
  expect(asked.status?.conditions).toMatchObject([{ type: 'migrationAbortRequested', status: 'True' }])
  const vmi = await world.vmiUntil('web', ({ status }) => status?.migrationState?.abortRequested === true)
  expect(vmi.status?.migrationState?.abortStatus).toBe('Aborting')
  world.a.refuse.cancelMigration = undefined
  await isGone(world)
})

test('once the source has handed over it is too late: the migration succeeds', async () => {
  const world = await startMovingWorld()
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  world.a.move(world.uid, { phase: 'handedOver' })
  await turn()
  await world.store.delete(VMIMS, 'default', 'move')
  await turn()
  world.arrive(metadata.uid)
  await isGone(world)
  const vmi = await world.vmi('web')
  expect(vmi?.status).toMatchObject({ nodeName: 'node-b', phase: 'Running' })
  expect(vmi?.status?.migrationState).toMatchObject({ completed: true })
  expect(vmi?.status?.migrationState?.failed).toBeUndefined()
})

test('in post-copy it is too late, too', async () => {
  const world = await startMovingWorld()
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  world.a.move(world.uid, { mode: 'PostCopy' })
  await world.store.delete(VMIMS, 'default', 'move')
  const late = await world.vmiUntil('web', ({ status }) => status?.migrationState?.abortStatus === 'Failed')
  expect(late.status?.migrationState?.endTimestamp).toBeUndefined()
  world.arrive(metadata.uid)
  await isGone(world)
  expect((await world.vmi('web'))?.status?.migrationState).toMatchObject({
    abortStatus: 'Failed',
    completed: true,
    mode: 'PostCopy',
  })
})

test('while the source is away, the target is fenced before the guest counts as left to the source', async () => {
  const world = await startMovingWorld()
  await world.migrate()
  await world.inPhase('move', 'Running')
  world.nodes.set('node-a', undefined)
  world.a.disconnect()
  await turn()
  await world.store.delete(VMIMS, 'default', 'move')
  await world.until(() => world.b.cancels.length > 0)
  world.clock.advance(40_000)
  await isGone(world)
  const vmi = await world.vmi('web')
  expect(vmi && holdingsOf(vmi)).toEqual([{ nodeName: 'node-a', epoch: 3 }])
  world.nodes.set('node-a', world.a)
  await world.until(() => world.a.cancels.length > 0)
  expect(runningOn([world.a, world.b], world.uid)).toBe(1)
})
