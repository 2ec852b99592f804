import { expect, test } from 'vitest'
import { VMIMS, VMIS } from '../../../src/kinds/table.ts'
import { holdingsOf } from '../../../src/controllers/vmi/placed.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { runningOn, startMovingWorld } from '../../helpers/moving-guests.ts'

test('a migration passes through every phase and the guest changes hands with its VMI', async () => {
  const world = await startMovingWorld()
  const { a, b, uid } = world
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  const moving = await world.vmiUntil('web', ({ status }) => Boolean(status?.migrationState?.startTimestamp))
  expect(moving.status?.migrationState).toMatchObject({
    migrationUid: metadata.uid,
    sourceNode: 'node-a',
    targetNode: 'node-b',
    targetPod: `${uid}.2`,
    targetNodeAddress: '192.0.2.7',
    targetDirectMigrationNodePorts: { '40000': 49152 },
    startTimestamp: '2026-01-01T00:00:30Z',
    mode: 'PreCopy',
  })
  expect(moving.status).toMatchObject({
    nodeName: 'node-a',
    activePods: { [uid]: 'node-a', [`${uid}.2`]: 'node-b' },
  })
  expect(moving.metadata.labels).toMatchObject({ 'kubevirt.io/migrationTargetNodeName': 'node-b' })
  expect(a.facts).toHaveLength(1)
  expect(b.incoming).toMatchObject([
    {
      migrationUid: metadata.uid,
      sync: { epoch: 2 },
      facts: { facts: { machine: 'pc-q35-7.2' } },
      tls: { cert: `mig-${metadata.uid}-dst`, peerName: `mig-${metadata.uid}-src` },
    },
  ])
  expect(a.outgoing).toMatchObject([
    {
      migrationUid: metadata.uid,
      epoch: 1,
      target: { address: '192.0.2.7', ports: { '40000': 49152 } },
      tls: { cert: `mig-${metadata.uid}-src` },
      options: { bandwidthBytes: 0, completionSecondsPerGiB: 150, progressSeconds: 150, maxDowntimeMs: 900 },
    },
  ])
  world.arrive(metadata.uid)
  const done = await world.inPhase('move', 'Succeeded')
  expect(done.status?.phaseTransitionTimestamps?.map(({ phase }) => phase)).toEqual([
    'Pending',
    'Scheduling',
    'Scheduled',
    'PreparingTarget',
    'TargetReady',
    'Running',
    'Succeeded',
  ])
  expect(done.status?.migrationState).toMatchObject({
    completed: true,
    targetNodeDomainDetected: true,
    targetNodeDomainReadyTimestamp: '2026-01-01T00:01:01Z',
    endTimestamp: expect.any(String),
  })
  expect(done.status?.migrationState?.failed).toBeUndefined()
  const moved = await world.vmiUntil('web', ({ status }) => status?.nodeName === 'node-b')
  expect(moved.metadata.labels).toMatchObject({ 'kubevirt.io/nodeName': 'node-b' })
  expect(moved.metadata.labels).not.toHaveProperty('kubevirt.io/migrationTargetNodeName')
  expect(holdingsOf(moved)).toEqual([{ nodeName: 'node-b', epoch: 2 }])
  await world.until(() => a.releases.length > 0)
  expect(a.releases).toMatchObject([{ ref: { migrationUid: metadata.uid }, epoch: 2 }])
  await world.until(() => b.syncs.some(({ epoch }) => epoch === 2))
  expect(a.syncs).toHaveLength(1)
  expect(runningOn([a, b], uid)).toBe(1)
  await world.vmimUntil(
    'move',
    ({ metadata: { finalizers } }) => finalizers === undefined || finalizers.length === 0,
  )
})

test('a guest can go there and back, and its epoch is counted', async () => {
  const world = await startMovingWorld()
  const { a, b, uid } = world
  const there = await world.migrate('there')
  await world.inPhase('there', 'Running')
  world.arrive(there.metadata.uid)
  await world.inPhase('there', 'Succeeded')
  await world.until(() => !a.guests.has(uid))
  const back = await world.migrate('back')
  await world.inPhase('back', 'Running')
  expect(b.outgoing).toMatchObject([{ epoch: 2 }])
  expect(a.incoming).toMatchObject([{ sync: { epoch: 3 } }])
  world.arrive(back.metadata.uid, b, a)
  const vmi = await world.vmiUntil('web', ({ status }) => status?.nodeName === 'node-a')
  expect(holdingsOf(vmi)).toEqual([{ nodeName: 'node-a', epoch: 3 }])
  await world.until(() => !b.guests.has(uid))
  expect(runningOn([a, b], uid)).toBe(1)
})

test('a second migration of the same guest fails, and the first goes on', async () => {
  const world = await startMovingWorld()
  await world.migrate('first')
  await world.inPhase('first', 'Running')
  await world.migrate('second')
  const second = await world.inPhase('second', 'Failed')
  expect(second.status?.migrationState?.failureReason).toBe('aborted: the VMI is being migrated by first')
  expect((await world.vmim('first'))?.status?.phase).toBe('Running')
})

test('a migration of a VMI that is not there, or has ended, fails', async () => {
  const world = await startMovingWorld()
  await world.migrate('lost', {}, 'nobody')
  await world.inPhase('lost', 'Failed')
  world.a.tell(world.uid, { phase: 'Succeeded' })
  await world.vmiUntil('web', ({ status }) => status?.phase === 'Succeeded')
  await world.migrate('late')
  const late = await world.inPhase('late', 'Failed')
  expect(late.status?.migrationState?.failureReason).toBe('aborted: the guest has ended')
})

test('the label and the finalizer are added where the webhook has not', async () => {
  const world = await startMovingWorld()
  const draft = { namespace: 'default', name: 'bare' }
  await world.store.create(VMIMS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: draft,
    spec: { vmiName: 'web' },
  })
  const bare = await world.inPhase('bare', 'Running')
  expect(bare.metadata).toMatchObject({
    labels: { 'kubevirt.io/vmi-name': 'web' },
    finalizers: ['kubevirt.io/migrationJobFinalize'],
  })
})

test('of the migrations that are over, five are kept for each VMI', async () => {
  const world = await startMovingWorld()
  world.b.refuse.prepareIncoming = undefined
  for (let round = 0; round < 7; round++) {
    const name = `move-${round}`
    world.clock.advance(2_000)
    const { metadata } = await world.migrate(name)
    await world.inPhase(name, 'Running')
    world.a.move(world.uid, { phase: 'failed', failure: 'timeout: too slow' })
    const over = await world.inPhase(name, 'Failed')
    expect(over.status?.migrationState).toMatchObject({ migrationUid: metadata.uid, failed: true })
    await world.until(() => !world.b.guests.has(world.uid))
  }
  const left = await world.until(async () => {
    const { items } = await world.store.list(VMIMS)
    return items.length === 5 && items
  })
  expect(left.map(({ metadata }) => metadata.name).toSorted()).toEqual([
    'move-2',
    'move-3',
    'move-4',
    'move-5',
    'move-6',
  ])
})

test('changes that still wait for the migration keep it Running', async () => {
  const world = await startMovingWorld()
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  world.a.tell(world.uid, { conditions: [{ type: 'HotVCPUChange', status: 'True' }] })
  await world.vmiUntil(
    'web',
    ({ status }) => status?.conditions?.some(({ type }) => type === 'HotVCPUChange') ?? false,
  )
  world.b.tell(world.uid, { conditions: [{ type: 'HotVCPUChange', status: 'True' }] })
  world.arrive(metadata.uid)
  await world.vmiUntil('web', ({ status }) => status?.migrationState?.completed === true)
  await turn()
  expect((await world.vmim('move'))?.status?.phase).toBe('Running')
  world.b.tell(world.uid, { conditions: [] })
  await world.inPhase('move', 'Succeeded')
})

test('a VMI that is deleted while it moves ends on both nodes', async () => {
  const world = await startMovingWorld()
  const { a, b, uid } = world
  await world.migrate()
  await world.inPhase('move', 'Running')
  await world.store.delete(VMIS, 'default', 'web')
  await world.until(() => a.removes.length > 0)
  await world.until(() => !b.guests.has(uid))
  a.finish(uid, 'Failed')
  await world.vmiGone('web')
  const over = await world.inPhase('move', 'Failed')
  expect(over.status?.migrationState?.failureReason).toMatch(/^aborted/)
  expect([a.guests.size, b.guests.size]).toEqual([0, 0])
})
