import { expect, test } from 'vitest'
import { startEventExpiry } from '../../src/embedded/event-expiry.ts'
import { EVENTS } from '../../src/kinds/table.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { ADMIN, openRegistry, until } from '../helpers/object-registry.ts'

const HOUR_MS = 3_600_000

test('an Event goes an hour after it was last written', async () => {
  const clock = createFakeClock()
  using r = await openRegistry({ clock })
  const store = r.api.as(ADMIN)
  const make = (name: string) =>
    store.create(EVENTS, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: 'default' },
      involvedObject: {},
    })
  const names = async () => (await store.list(EVENTS)).items.map(({ metadata }) => metadata.name)
  await using _expiry = startEventExpiry(r.background)
  await Promise.all(Array.from({ length: 450 }, (_value, number) => make(`old-${number}`)))
  await make('touched')
  clock.advance(HOUR_MS / 2)
  await store.patch(EVENTS, 'default', 'touched', { type: 'merge', body: { count: 2 } })
  clock.advance(HOUR_MS / 2 - 60_000)
  expect(await names()).toHaveLength(451)
  clock.advance(120_001)
  await until(async () => (await names()).length === 1)
  expect(await names()).toEqual(['touched'])
})

test('nothing stays behind when it is closed', async () => {
  const clock = createFakeClock()
  using r = await openRegistry({ clock })
  {
    await using _expiry = startEventExpiry(r.background)
    expect(clock.pending()).toBe(1)
  }
  expect(clock.pending()).toBe(0)
})
