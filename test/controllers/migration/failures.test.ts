import { expect, test } from 'vitest'
import { holdingsOf } from '../../../src/controllers/vmi/placed.ts'
import { NODES, VMIMS, VMIS } from '../../../src/kinds/table.ts'
import { conflict } from '../../../src/lib/errors.ts'
import type { MigrationReport } from '../../../src/rpc/actions.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { runningOn, startMovingWorld } from '../../helpers/moving-guests.ts'
import type { MovingNode, MovingWorld } from '../../helpers/moving-guests.ts'

/** A migration that is being carried out. */
async function sending(): Promise<MovingWorld & { migrationUid: string }> {
  const world = await startMovingWorld()
  const { metadata } = await world.migrate()
  await world.inPhase('move', 'Running')
  return { ...world, migrationUid: metadata.uid }
}

function leave(world: MovingWorld, node: MovingNode, name: string): void {
  world.nodes.set(name, undefined)
  node.disconnect()
}

async function failureOf(world: MovingWorld): Promise<string | undefined> {
  const { status } = await world.inPhase('move', 'Failed')
  expect(status?.migrationState).toMatchObject({
    failed: true,
    completed: true,
    endTimestamp: expect.any(String),
  })
  return status?.migrationState?.failureReason
}

async function staysAtSource(world: MovingWorld, epoch = 1, phase = 'Running'): Promise<void> {
  const vmi = await world.vmiUntil('web', ({ metadata }) => {
    return metadata.labels?.['kubevirt.io/migrationTargetNodeName'] === undefined
  })
  expect(vmi.status).toMatchObject({ phase, nodeName: 'node-a' })
  expect(holdingsOf(vmi)).toEqual([{ nodeName: 'node-a', epoch }])
}

test('a target that cannot make ready ends the migration in its own words, and is cleaned up', async () => {
  const world = await startMovingWorld()
  const message = 'storage: the disk "root" is smaller here'
  const prepareIncoming: MovingNode['prepareIncoming'] = world.b.prepareIncoming.bind(world.b)
  world.b.prepareIncoming = async (request, signal) => {
    await prepareIncoming(request, signal)
    world.b.move(world.uid, { phase: 'failed', failure: message })
    throw conflict({ group: 'kubevirt.io', kind: 'virtualmachineinstance' }, 'web', message)
  }
  await world.migrate()
  expect(await failureOf(world)).toBe(message)
  await staysAtSource(world)
  await world.until(() => !world.b.guests.has(world.uid))
  expect(world.a.outgoing).toEqual([])
})

test.each(['migrationFacts', 'startOutgoing'] as const)('a source that refuses %s ends it', async (step) => {
  const world = await startMovingWorld()
  world.a.refuse[step] = conflict({ group: '', kind: 'virtualmachineinstance' }, 'web', 'VMI has just ended')
  await world.migrate()
  expect(await failureOf(world)).toContain('VMI has just ended')
  await staysAtSource(world)
})

test('a target whose worker restarts while it makes ready is asked again', async () => {
  const world = await startMovingWorld()
  world.b.isSlow = true
  const { metadata } = await world.migrate()
  await world.until(() => world.b.incoming.length === 1)
  world.b.disconnect()
  await world.until(() => world.b.incoming.length === 2)
  world.b.isSlow = false
  await world.inPhase('move', 'Running')
  expect(world.b.incoming.map(({ migrationUid }) => migrationUid)).toEqual([metadata.uid, metadata.uid])
  expect(world.a.outgoing).toHaveLength(1)
})

test('a target whose worker restarts before it has told that the guest runs is waited for', async () => {
  const world = await sending()
  leave(world, world.b, 'node-b')
  world.a.move(world.uid, { phase: 'handedOver' })
  await turn()
  world.clock.advance(120_000)
  await turn()
  expect((await world.vmim('move'))?.status?.phase).toBe('Running')
  world.arrive(world.migrationUid)
  world.nodes.set('node-b', world.b)
  await world.inPhase('move', 'Succeeded')
  expect(runningOn([world.a, world.b], world.uid)).toBe(1)
})

const SOURCE_FAILURES: [string, Partial<MigrationReport>, string][] = [
  [
    'QEMU of the target dies',
    { failure: 'internal: target process exited' },
    'internal: target process exited',
  ],
  ['the target host dies', { failure: 'no-progress: nothing was sent' }, 'no-progress: nothing was sent'],
  [
    'a disk cannot be copied',
    { failure: 'storage: mirror of root failed' },
    'storage: mirror of root failed',
  ],
]
test.each(SOURCE_FAILURES)('where %s before the end, the guest goes on', async (_what, change, reason) => {
  const world = await sending()
  world.a.move(world.uid, { phase: 'failed', ...change })
  expect(await failureOf(world)).toBe(reason)
  await staysAtSource(world)
  await world.until(() => !world.b.guests.has(world.uid))
  expect(runningOn([world.a, world.b], world.uid)).toBe(1)
})

test('a target that fails has the source stop, and its reason is told', async () => {
  const world = await sending()
  world.b.move(world.uid, { phase: 'failed', failure: 'tls: handshake failed' })
  expect(await failureOf(world)).toBe('tls: handshake failed')
  expect(world.a.cancels).not.toEqual([])
  await staysAtSource(world)
})

test('a restart of the worker at the source changes nothing', async () => {
  const world = await sending()
  world.a.disconnect()
  await turn()
  world.clock.advance(1_000)
  await turn()
  world.arrive(world.migrationUid)
  await world.inPhase('move', 'Succeeded')
  expect(world.a.outgoing).toHaveLength(1)
})

test('a guest that crashes while it moves ends its VMI and the migration, and the target forgets it', async () => {
  const world = await sending()
  const { migration } = world.a.guests.get(world.uid) ?? {}
  if (!migration) throw new Error('the source does not move it')
  world.a.tell(world.uid, {
    phase: 'Failed',
    migration: { ...migration, phase: 'failed', failure: 'internal: QEMU has ended' },
  })
  expect(await failureOf(world)).toMatch(/^(internal|aborted): /)
  await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  await world.until(() => !world.b.guests.has(world.uid))
})

test('a source host that dies while it sends ends the migration; the VMI waits for it', async () => {
  const world = await sending()
  leave(world, world.a, 'node-a')
  world.b.move(world.uid, { phase: 'failed', failure: 'internal: the source broke off' })
  await turn()
  expect((await world.vmim('move'))?.status?.phase).toBe('Running')
  world.clock.advance(40_000)
  expect(await failureOf(world)).toBe('internal: the source broke off')
  await staysAtSource(world, 3, 'Unknown')
  await world.until(() => !world.b.guests.has(world.uid))
})

test('a source host that is given up takes the guest with it only once the target has said that it has not got it', async () => {
  const world = await sending()
  leave(world, world.a, 'node-a')
  await turn()
  await world.store.delete(NODES, '', 'node-a')
  world.b.refuse.cancelMigration = new Error('not now')
  world.clock.advance(40_000)
  await turn()
  expect((await world.vmi('web'))?.status?.phase).toBe('Running')
  world.b.refuse.cancelMigration = undefined
  expect(await failureOf(world)).toBe('internal: node node-a does not have the guest any more')
  const vmi = await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  expect(vmi.status?.reason).toBe('NodeGone')
})

test('a source host that dies after it has sent all of it is not missed, and cleaned up when it is back', async () => {
  const world = await sending()
  leave(world, world.a, 'node-a')
  world.arrive(world.migrationUid)
  await world.inPhase('move', 'Succeeded')
  expect((await world.vmi('web'))?.status?.nodeName).toBe('node-b')
  expect(world.a.releases).toEqual([])
  world.nodes.set('node-a', world.a)
  await world.until(() => world.a.releases.length > 0)
  expect(world.a.releases[0]).toMatchObject({ epoch: 2 })
})

test.each([
  ['its Node object is deleted', (world: MovingWorld) => world.store.delete(NODES, '', 'node-b')],
  [
    'it is declared out of service',
    (world: MovingWorld) =>
      world.store.patch(NODES, '', 'node-b', {
        type: 'merge',
        body: { spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] } },
      }),
  ],
])('a target host that dies before the guest ran there: reclaimed only when %s', async (_how, giveUp) => {
  const world = await sending()
  leave(world, world.b, 'node-b')
  world.a.move(world.uid, { phase: 'handedOver' })
  await turn()
  world.clock.advance(300_000)
  await turn()
  expect(world.a.reclaims).toEqual([])
  await giveUp(world)
  expect(await failureOf(world)).toBe('target-unreachable: node node-b was removed')
  await world.until(() => world.a.reclaims.length > 0)
  expect(world.a.reclaims[0]).toMatchObject({ ref: { migrationUid: world.migrationUid }, epoch: 3 })
  await staysAtSource(world, 3)
})

test('a target host that comes back from the dead loses the guest that was reclaimed', async () => {
  const world = await sending()
  leave(world, world.b, 'node-b')
  world.arrive(world.migrationUid)
  await turn()
  await world.store.delete(NODES, '', 'node-b')
  world.clock.advance(40_000)
  await world.inPhase('move', 'Failed')
  await world.until(() => world.a.reclaims.length > 0)
  world.nodes.set('node-b', world.b)
  await world.until(() => world.b.removes.length > 0)
  expect(world.b.removes[0]).toMatchObject({ options: { graceSeconds: 0 } })
  expect((await world.vmi('web'))?.status?.nodeName).toBe('node-a')
})

test('a target that does not run what it was handed is fenced after a minute, and the source goes on', async () => {
  const world = await sending()
  world.a.move(world.uid, { phase: 'handedOver' })
  await world.vmiUntil('web', ({ status }) => status?.migrationState?.targetNodeDomainDetected === true)
  expect(world.b.cancels).toEqual([])
  world.clock.advance(60_000)
  expect(await failureOf(world)).toMatch(/^target-unreachable: /)
  expect(world.b.cancels).not.toEqual([])
  await world.until(() => world.a.reclaims.length > 0)
  await staysAtSource(world, 3)
})

test('a target that has all of it and cannot be stopped any more is waited for', async () => {
  const world = await sending()
  world.b.cancelMigration = async (ref) => void world.b.cancels.push(ref)
  world.a.move(world.uid, { phase: 'handedOver' })
  await turn()
  world.clock.advance(60_000)
  await world.until(() => world.b.cancels.length > 0)
  expect((await world.vmim('move'))?.status?.phase).toBe('Running')
  world.arrive(world.migrationUid)
  await world.inPhase('move', 'Succeeded')
  expect(world.a.reclaims).toEqual([])
})

test('a target that fails after it was handed the guest gives it back', async () => {
  const world = await sending()
  world.a.move(world.uid, { phase: 'handedOver' })
  world.b.move(world.uid, { phase: 'failed', failure: 'storage: the image is locked' })
  expect(await failureOf(world)).toBe('storage: the image is locked')
  await world.until(() => world.a.reclaims.length > 0)
  await staysAtSource(world, 3)
})

test('what is left at the source says nothing of a guest that was handed over', async () => {
  const world = await sending()
  world.a.move(world.uid, { phase: 'handedOver' })
  world.a.tell(world.uid, { phase: 'Failed', conditions: [{ type: 'Paused', status: 'True' }] })
  await turn()
  expect((await world.vmi('web'))?.status?.phase).toBe('Running')
  world.arrive(world.migrationUid)
  await world.inPhase('move', 'Succeeded')
  expect((await world.vmi('web'))?.status?.phase).toBe('Running')
})

test('post-copy that is cut off costs the guest: VMI and migration fail', async () => {
  const world = await sending()
  world.a.move(world.uid, { mode: 'PostCopy' })
  await world.vmiUntil('web', ({ status }) => status?.migrationState?.mode === 'PostCopy')
  world.a.move(world.uid, {
    phase: 'failed',
    failure: 'target-unreachable: the connection was lost',
    guestLost: true,
  })
  expect(await failureOf(world)).toBe('target-unreachable: the connection was lost')
  const vmi = await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
  expect(vmi.status?.reason).toBe('MigrationFailed')
  await world.until(() => world.a.removes.length > 0)
})

test('a guest that the target loses in post-copy is lost, whatever the source says', async () => {
  const world = await sending()
  world.a.move(world.uid, { mode: 'PostCopy' })
  world.b.move(world.uid, { phase: 'failed', failure: 'target-unreachable: cut off', guestLost: true })
  expect(await failureOf(world)).toBe('target-unreachable: cut off')
  await world.vmiUntil('web', ({ status }) => status?.phase === 'Failed')
})

test('a source that has forgotten what it was told ends the migration', async () => {
  const world = await sending()
  const { migration: _migration, ...bare } = world.a.guests.get(world.uid) ?? {}
  if (!('guest' in bare)) throw new Error('the source has no guest')
  world.a.guests.set(world.uid, bare)
  world.a.disconnect()
  expect(await failureOf(world)).toBe('internal: node node-a knows nothing of the migration')
})

test('nodes that are not ready in time end it', async () => {
  const world = await startMovingWorld()
  world.b.isSlow = true
  await world.migrate()
  await world.until(() => world.b.incoming.length > 0)
  world.clock.advance(901_000)
  expect(await failureOf(world)).toMatch(/^timeout: /)
  await staysAtSource(world)
  await world.until(() => !world.b.guests.has(world.uid))
})

test('a VMI that is gone by force leaves nothing behind', async () => {
  const world = await sending()
  await world.store.patch(VMIS, 'default', 'web', { type: 'merge', body: { metadata: { finalizers: null } } })
  await world.store.delete(VMIS, 'default', 'web')
  expect(await failureOf(world)).toBe('aborted: the VMI does not exist')
  await world.until(() => world.a.removes.length > 0 && world.b.removes.length > 0)
})

test('a migration that is gone by force is taken back', async () => {
  const world = await sending()
  await world.store.patch(VMIMS, 'default', 'move', {
    type: 'merge',
    body: { metadata: { finalizers: null } },
  })
  await world.store.delete(VMIMS, 'default', 'move')
  const vmi = await world.vmiUntil('web', ({ status }) => status?.migrationState?.failed === true)
  expect(vmi.status?.migrationState).toMatchObject({ abortRequested: true, abortStatus: 'Succeeded' })
  await staysAtSource(world)
})

test('a source that does not let go yet holds nothing up, and is asked again', async () => {
  const world = await sending()
  const { a, b, uid } = world
  const release: MovingNode['releaseMigration'] = a.releaseMigration.bind(a)
  let asked = 0
  a.releaseMigration = () => {
    asked += 1
    return Promise.reject(conflict({ group: '', kind: 'guest' }, 'web', 'it was not handed over'))
  }
  world.arrive(world.migrationUid)
  await world.inPhase('move', 'Succeeded')
  await world.until(() => asked > 0)
  b.tell(uid, { conditions: [{ type: 'AgentConnected', status: 'True' }] })
  await world.vmiUntil('web', ({ status }) => {
    return status?.conditions?.some(({ type }) => type === 'AgentConnected') ?? false
  })
  a.releaseMigration = release
  world.clock.advance(1_000)
  await world.until(() => !a.guests.has(uid))
  expect(runningOn([a, b], uid)).toBe(1)
})
