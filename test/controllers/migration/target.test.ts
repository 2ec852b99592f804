import { expect, test } from 'vitest'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import { NODES, VMIS } from '../../../src/kinds/table.ts'
import { createMovingNode, startMovingWorld } from '../../helpers/moving-guests.ts'
import type { MovingWorld } from '../../helpers/moving-guests.ts'

async function labelNode(world: MovingWorld, name: string, labels: Record<string, string>): Promise<void> {
  await world.store.patch(NODES, '', name, { type: 'merge', body: { metadata: { labels } } })
}

test('an added selector narrows the choice, and does not override the guest’s own', async () => {
  const c = createMovingNode('node-c')
  const world = await startMovingWorld({ nodes: { 'node-c': c } })
  await labelNode(world, 'node-c', { disk: 'ssd' })
  await world.migrate('move', { addedNodeSelector: { disk: 'ssd' } })
  const moving = await world.inPhase('move', 'Running')
  expect((await world.vmi('web'))?.status?.migrationState?.targetNode).toBe('node-c')
  expect(moving.status?.phase).toBe('Running')
  expect(world.b.incoming).toEqual([])
})

test('where no node takes the guest, that is told, and the migration fails after five minutes', async () => {
  const world = await startMovingWorld()
  await world.store.patch(VMIS, 'default', 'web', {
    type: 'merge',
    body: { spec: { nodeSelector: { disk: 'hdd' } } },
  })
  await world.migrate('move', { addedNodeSelector: { disk: 'ssd' } })
  await labelNode(world, 'node-b', { disk: 'ssd' })
  await world.inPhase('move', 'Scheduling')
  await world.until(async () => (await world.reasons('move')).includes('FailedScheduling'))
  world.clock.advance(299_000)
  expect((await world.vmim('move'))?.status?.phase).toBe('Scheduling')
  world.clock.advance(2_000)
  const over = await world.inPhase('move', 'Failed')
  expect(over.status?.migrationState?.failureReason).toMatch(
    /^timeout: no node took the guest: .*node affinity\/selector/,
  )
})

test('the memory of a guest on its way is charged once at each of its nodes', async () => {
  const world = await startMovingWorld()
  // node-b: 4 GiB. What comes and what is there go in together with what QEMU takes; nothing is left then.
  const big = { domain: { devices: {}, memory: { guest: '2Gi' } } }
  const one = await world.run('one', big)
  expect(one.status?.nodeName).toBe('node-b')
  await world.migrate()
  await world.inPhase('move', 'Running')
  const rest = { domain: { devices: {}, memory: { guest: '1560Mi' } } }
  const full = await world.run('full', { ...rest, nodeSelector: { 'kubernetes.io/hostname': 'node-b' } })
  expect(full.status?.nodeName).toBe('node-b')
  const more = { domain: { devices: {}, memory: { guest: '1Mi' } } }
  await world.store.create(VMIS, buildOn('more', more))
  await world.vmiUntil('more', ({ status }) => {
    return status?.conditions?.some(({ message }) => message?.includes('Insufficient memory')) ?? false
  })
})

function buildOn(name: string, spec: Vmi['spec']) {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { namespace: 'default', name },
    spec: { ...spec, nodeSelector: { 'kubernetes.io/hostname': 'node-b' } },
  }
}

test('a node that does not know the guest’s machine type is not asked', async () => {
  const world = await startMovingWorld()
  world.a.tell(world.uid, { status: { machine: { type: 'pc-q35-9.9' } } })
  await world.vmiUntil('web', ({ status }) => status?.machine?.type === 'pc-q35-9.9')
  await world.migrate()
  await world.until(async () => (await world.reasons('move')).includes('FailedScheduling'))
  expect(world.b.incoming).toEqual([])
})

test('a guest that cannot be moved fails its migration with the reason', async () => {
  const world = await startMovingWorld()
  const reason = 'DisksNotLiveMigratable'
  world.a.tell(world.uid, {
    conditions: [{ type: 'LiveMigratable', status: 'False', reason, message: 'local disk' }],
  })
  await world.vmiUntil(
    'web',
    ({ status }) => status?.conditions?.some(({ status: is }) => is === 'False') ?? false,
  )
  await world.migrate()
  const over = await world.inPhase('move', 'Failed')
  expect(over.status?.migrationState?.failureReason).toBe('storage: the guest cannot be moved: local disk')
})

test('a running backup holds a migration back', async () => {
  const world = await startMovingWorld()
  const backup = {
    state: 'Enabled',
    backupStatus: { backupName: 'b', startTimestamp: '2026-01-01T00:00:00Z' },
  }
  world.a.tell(world.uid, { status: { changedBlockTracking: backup } })
  await world.vmiUntil('web', ({ status }) => status?.changedBlockTracking !== undefined)
  await world.migrate()
  const held = await world.vmimUntil('move', ({ status }) => (status?.conditions ?? []).length > 0)
  expect(held.status).toMatchObject({
    phase: 'Pending',
    conditions: [{ type: 'migrationBlockedByBackup', status: 'True' }],
  })
  world.a.tell(world.uid, { status: {} })
  const moving = await world.inPhase('move', 'Running')
  expect(moving.status?.conditions).toEqual([])
})
