import { expect, test } from 'vitest'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import type { Log } from '../../src/lib/log.ts'
import { CONFIGMAPS, EVENTS, NODES } from '../../src/kinds/table.ts'
import { openEventRecorder } from '../../src/store/event-recorder.ts'
import { createFakeClock, turn } from '../helpers/fake-clock.ts'
import { ADMIN, openRegistry, silentLog } from '../helpers/object-registry.ts'

async function setUp() {
  const clock = createFakeClock()
  const registry = await openRegistry({ clock })
  const store = registry.api.as(ADMIN)
  const metadata = { namespace: 'default', name: 'web' }
  const object = await store.create(CONFIGMAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
  const lost: string[] = []
  const log: Log = { ...silentLog, warn: (_fields, text) => void lost.push(text) }
  return { clock, store, object, log, lost, [Symbol.dispose]: () => registry[Symbol.dispose]() }
}

test('an Event tells what happened to which object, and who says so', async () => {
  using world = await setUp()
  await using recorder = openEventRecorder({ ...world, component: 'tester' })
  recorder.record(world.object, 'Warning', 'Broken', 'it broke')
  await turn()
  const { items } = await world.store.list(EVENTS, { namespace: 'default' })
  expect(items).toMatchObject([
    {
      involvedObject: { apiVersion: 'v1', kind: 'ConfigMap', name: 'web', uid: world.object.metadata.uid },
      type: 'Warning',
      reason: 'Broken',
      message: 'it broke',
      count: 1,
      source: { component: 'tester' },
      firstTimestamp: '2026-01-01T00:00:00Z',
    },
  ])
})

test('repeats raise the count, until the window is over', async () => {
  using world = await setUp()
  await using recorder = openEventRecorder({ ...world, component: 'tester' })
  recorder.record(world.object, 'Normal', 'Same', 'again')
  await turn()
  world.clock.advance(60_000)
  recorder.record(world.object, 'Normal', 'Same', 'again')
  recorder.record(world.object, 'Normal', 'Same', 'again')
  await turn()
  const [counted] = (await world.store.list(EVENTS, { namespace: 'default' })).items
  expect(counted).toMatchObject({
    count: 3,
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:01:00Z',
  })
  world.clock.advance(700_000)
  recorder.record(world.object, 'Normal', 'Same', 'again')
  await turn()
  expect((await world.store.list(EVENTS, { namespace: 'default' })).items).toHaveLength(2)
})

test('an Event that was deleted meanwhile is written anew', async () => {
  using world = await setUp()
  await using recorder = openEventRecorder({ ...world, component: 'tester' })
  recorder.record(world.object, 'Normal', 'Same', 'again')
  await turn()
  const [first] = (await world.store.list(EVENTS, { namespace: 'default' })).items
  await world.store.delete(EVENTS, 'default', first?.metadata.name ?? '')
  recorder.record(world.object, 'Normal', 'Same', 'again')
  await turn()
  expect((await world.store.list(EVENTS, { namespace: 'default' })).items).toMatchObject([{ count: 1 }])
})

test('Events of cluster-scoped objects live in the namespace default', async () => {
  using world = await setUp()
  const node = await world.store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } })
  await using recorder = openEventRecorder({ ...world, component: 'tester' })
  recorder.record(node, 'Normal', 'Up', 'it is up')
  await turn()
  expect((await world.store.list(EVENTS, { namespace: 'default' })).items).toMatchObject([{ reason: 'Up' }])
})

test('an Event that cannot be written is logged, and the next ones are written', async () => {
  using world = await setUp()
  let down = true
  const store = {
    ...world.store,
    create: ((...args: Parameters<typeof world.store.create>) => {
      if (down) throw serviceUnavailable('down')
      return world.store.create(...args)
      // The same function as the store's, but for the failure.
    }) as typeof world.store.create,
  }
  await using recorder = openEventRecorder({ ...world, store, component: 'tester' })
  recorder.record(world.object, 'Normal', 'Lost', 'never seen')
  await turn()
  down = false
  recorder.record(world.object, 'Normal', 'Kept', 'seen')
  await turn()
  expect(world.lost).toEqual(['an Event is lost'])
  expect((await world.store.list(EVENTS, { namespace: 'default' })).items).toMatchObject([{ reason: 'Kept' }])
})

test('closing writes what still waits; what is too much is logged', async () => {
  using world = await setUp()
  const recorder = openEventRecorder({ ...world, component: 'tester' })
  for (let i = 0; i < 1010; i++) recorder.record(world.object, 'Normal', 'Many', `number ${i}`)
  await recorder[Symbol.asyncDispose]()
  expect((await world.store.list(EVENTS, { namespace: 'default' })).items).toHaveLength(1000)
  expect(world.lost).toHaveLength(10)
})
