import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import type { ResourceQuota } from '../../../src/kinds/quota.ts'
import { RESOURCE_QUOTAS, VMIS } from '../../../src/kinds/table.ts'
import { buildClusterLedger } from '../../../src/quota/cluster-ledger.ts'
import { RESERVATION_MS, RESERVATIONS_ANNOTATION } from '../../../src/quota/reservations.ts'
import { startWorld, type World } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'
import { draftOf, quota, vmi } from '../../helpers/quotas.ts'

const HARD = { 'requests.cpu': '8', 'count/secrets': '3' }

/** Controllers on a Kubernetes API that keeps quotas of its own. */
async function openWorld(): Promise<World> {
  const world = await startWorld({ config: { keepsQuotas: true } })
  await world.store.create(RESOURCE_QUOTAS, draftOf(quota('q', HARD)))
  return world
}

const usedIs = ({ store }: World, cpu: string): Promise<ResourceQuota> =>
  turnUntil(async () => {
    const found = await store.get(RESOURCE_QUOTAS, 'default', 'q')
    return found?.status?.used?.['requests.cpu'] === cpu ? found : undefined
  })

/** Creates a guest that nobody starts: no node has room for what it asks. */
const create = ({ store }: World, name: string) =>
  store.create(VMIS, { ...draftOf(vmi(name)), spec: { ...vmi(name).spec, nodeSelector: { is: 'nowhere' } } })

const write = async ({ store }: World, quota: ResourceQuota, used: string) =>
  store.update(
    RESOURCE_QUOTAS,
    { ...quota, status: { hard: HARD, used: { 'requests.cpu': used, 'count/secrets': '1' } } },
    { subresource: 'status' },
  )

test('a quota is told what guests take, as they come, end and go', async () => {
  const world = await openWorld()
  await usedIs(world, '0')
  const first = await create(world, 'a')
  await create(world, 'b')
  await usedIs(world, '4')
  const present = (await world.store.get(VMIS, 'default', first.metadata.name)) as Vmi
  await world.store.update(VMIS, { ...present, status: { ...present.status, phase: 'Failed' } })
  await usedIs(world, '2')
  await world.store.delete(VMIS, 'default', 'b')
  expect((await usedIs(world, '0')).status?.hard).toEqual({ 'requests.cpu': '8' })
})

test('what somebody else has counted without guests is put right, and their own counts are left alone', async () => {
  const world = await openWorld()
  await create(world, 'a')
  await write(world, await usedIs(world, '2'), '0')
  const { status } = await usedIs(world, '2')
  expect(status?.used).toEqual({ 'requests.cpu': '2', 'count/secrets': '1' })
})

function reserve({ store, clock }: World, name: string): Promise<void> {
  const made = vmi(name)
  const guest = { ...made, metadata: { ...made.metadata, uid: randomUUID() } }
  return buildClusterLedger({ store, guests: () => [], clock }).reserve({ vmi: guest, dryRun: false })
}

test('room that is kept for a guest stays counted for 120 s, and is then given back', async () => {
  const world = await openWorld()
  await usedIs(world, '0')
  await reserve(world, 'lost')
  const held = await usedIs(world, '2')
  // Counting anew does not lose it.
  await write(world, held, '0')
  await usedIs(world, '2')
  world.clock.advance(RESERVATION_MS + 1000)
  const given = await usedIs(world, '0')
  expect(given.metadata.annotations?.[RESERVATIONS_ANNOTATION]).toBeUndefined()
})

test('a reservation ends with the guest that it was for', async () => {
  const world = await openWorld()
  await usedIs(world, '0')
  const made = await create(world, 'a')
  await buildClusterLedger({ store: world.store, guests: () => [], clock: world.clock }).reserve({
    vmi: made,
    dryRun: false,
  })
  const settled = await turnUntil(async () => {
    const found = await world.store.get(RESOURCE_QUOTAS, 'default', 'q')
    return found?.metadata.annotations?.[RESERVATIONS_ANNOTATION] === undefined ? found : undefined
  })
  expect(settled.status?.used).toMatchObject({ 'requests.cpu': '2' })
  await world.store.delete(VMIS, 'default', 'a')
  await usedIs(world, '0')
})
