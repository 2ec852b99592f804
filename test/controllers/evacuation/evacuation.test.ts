import { expect, test } from 'vitest'
import type { Vmi, Vmim } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { KUBEVIRTS, NODES, VMIMS, VMIS } from '../../../src/kinds/table.ts'
import { turn } from '../../helpers/fake-clock.ts'
import { startMovingWorld } from '../../helpers/moving-guests.ts'
import type { MovingWorld } from '../../helpers/moving-guests.ts'

async function drain(world: MovingWorld, key = 'kubevirt.io/drain', name = 'node-a'): Promise<void> {
  const body = { spec: { taints: [{ key, effect: 'NoSchedule' }] } }
  await world.store.patch(NODES, '', name, { type: 'merge', body })
}

async function setStrategy(world: MovingWorld, evictionStrategy: string): Promise<void> {
  await world.store.patch(VMIS, 'default', 'web', { type: 'merge', body: { spec: { evictionStrategy } } })
  await world.vmiUntil('web', ({ spec }) => spec.evictionStrategy === evictionStrategy)
}

async function evacuations(world: MovingWorld): Promise<Vmim[]> {
  return (await world.store.list(VMIMS)).items
}

const requested = (vmi: Vmi) => findCondition(vmi.status?.conditions, 'EvictionRequested')

test.each(['LiveMigrate', 'LiveMigrateIfPossible'])(
  'a node that is drained is left by its %s guests',
  async (strategy) => {
    const world = await startMovingWorld()
    await setStrategy(world, strategy)
    await drain(world)
    const [evacuation] = await world.until(async () => {
      const found = await evacuations(world)
      return found.length > 0 && found
    })
    expect(evacuation).toMatchObject({
      metadata: {
        generateName: 'kubevirt-evacuation-',
        annotations: { 'kubevirt.io/evacuationMigration': 'node-a' },
        labels: { 'kubevirt.io/vmi-name': 'web' },
      },
      spec: { vmiName: 'web', priority: 'system-critical' },
    })
    const { name, uid } = evacuation?.metadata ?? { name: '', uid: '' }
    await world.inPhase(name, 'Running')
    world.arrive(uid)
    await world.inPhase(name, 'Succeeded')
    await turn()
    expect(await evacuations(world)).toHaveLength(1)
  },
)

test.each(['None', 'External'])('guests with the strategy %s stay', async (strategy) => {
  const world = await startMovingWorld()
  await setStrategy(world, strategy)
  await drain(world)
  await turn()
  expect(await evacuations(world)).toEqual([])
})

test('the strategy of the cluster counts where the guest has none, and so does its key of the taint', async () => {
  const world = await startMovingWorld()
  await world.store.create(KUBEVIRTS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { namespace: 'default', name: 'kubevirt' },
    spec: { configuration: { evictionStrategy: 'LiveMigrate', migrations: { nodeDrainTaintKey: 'empty' } } },
  })
  await drain(world)
  await turn()
  expect(await evacuations(world)).toEqual([])
  await drain(world, 'empty')
  await world.until(async () => (await evacuations(world)).length === 1)
})

test('a guest that was asked to leave shows it, leaves, and the request is cleared', async () => {
  const world = await startMovingWorld()
  await setStrategy(world, 'LiveMigrate')
  const body = { status: { evacuationNodeName: 'node-a' } }
  await world.store.patch(VMIS, 'default', 'web', { type: 'merge', body })
  const asked = await world.vmiUntil('web', (vmi) => requested(vmi) !== undefined)
  expect(requested(asked)).toMatchObject({ status: 'True' })
  const [evacuation] = await world.until(async () => {
    const found = await evacuations(world)
    return found.length > 0 && found
  })
  const { name, uid } = evacuation?.metadata ?? { name: '', uid: '' }
  await world.inPhase(name, 'Running')
  world.arrive(uid)
  const moved = await world.vmiUntil('web', ({ status }) => status?.nodeName === 'node-b')
  expect(moved.status?.evacuationNodeName).toBeUndefined()
  expect(requested(moved)).toBeUndefined()
})

test('a request that is withdrawn is not shown any more', async () => {
  const world = await startMovingWorld()
  const ask = (evacuationNodeName: string | null) =>
    world.store.patch(VMIS, 'default', 'web', { type: 'merge', body: { status: { evacuationNodeName } } })
  await ask('node-a')
  await world.vmiUntil('web', (vmi) => requested(vmi) !== undefined)
  await ask(null)
  await world.vmiUntil('web', (vmi) => requested(vmi) === undefined)
  await ask('node-b')
  await world.vmiUntil('web', ({ status }) => status?.evacuationNodeName === undefined)
  expect(await evacuations(world)).toEqual([])
})

test('an evacuation that fails is tried again after a time that grows', async () => {
  const world = await startMovingWorld()
  await setStrategy(world, 'LiveMigrate')
  await drain(world)
  const fail = async (count: number): Promise<void> => {
    await world.until(async () => (await evacuations(world)).length === count)
    const last = (await evacuations(world)).find(({ status }) => status?.phase !== 'Failed')
    const name = last?.metadata.name ?? ''
    await world.inPhase(name, 'Running')
    world.a.move(world.uid, { phase: 'failed', failure: 'timeout: too slow' })
    await world.inPhase(name, 'Failed')
    await world.until(() => !world.b.guests.has(world.uid))
  }
  await fail(1)
  world.clock.advance(15_000)
  await turn()
  expect(await evacuations(world)).toHaveLength(1)
  world.clock.advance(6_000)
  await fail(2)
  world.clock.advance(35_000)
  await turn()
  expect(await evacuations(world)).toHaveLength(2)
  world.clock.advance(6_000)
  await world.until(async () => (await evacuations(world)).length === 3)
})

test('a guest that cannot be moved stays, with an Event that says so', async () => {
  const world = await startMovingWorld()
  await setStrategy(world, 'LiveMigrate')
  world.a.tell(world.uid, {
    conditions: [{ type: 'LiveMigratable', status: 'False', message: 'local disk' }],
  })
  await world.vmiUntil(
    'web',
    ({ status }) => findCondition(status?.conditions, 'LiveMigratable') !== undefined,
  )
  await drain(world)
  await world.until(async () => (await world.reasons('web')).includes('FailedEvacuation'))
  expect(await evacuations(world)).toEqual([])
})
