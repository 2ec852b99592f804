/** Series of VMs go when the VMs go. Source: contract metrics.md, 9.2. */
import { expect, test } from 'vitest'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { watchServer } from '../../src/metrics/server.ts'
import { openSessionSource } from '../../src/metrics/sessions.ts'
import { buildVm, startWorld } from '../helpers/controllers.ts'
import { parseExposition, readText } from '../helpers/exposition.ts'
import { createFakeNode } from '../helpers/fake-node.ts'
import { turnUntil } from '../helpers/fake-clock.ts'
import { silentLog } from '../helpers/object-registry.ts'

const KINDS = ['console', 'vnc', 'portforward', 'usbredir']

/** All controllers, and sessions as an API server counts them, in one exposition. */
async function serve() {
  const metrics = openMetrics({ clock: systemClock, log: silentLog })
  const node = createFakeNode('node-a', { capacity: { cpus: 500, memoryBytes: 1024 ** 4 } })
  const { store, clock } = await startWorld({ metrics, nodes: { 'node-a': node } })
  const sessions = openSessionSource({
    clock,
    exists: async ({ namespace, name }) => (await store.get(VMIS, namespace, name)) !== undefined,
  })
  metrics.add(sessions)
  const streams = watchServer(metrics)

  /** Somebody uses every kind of session of a VM once. */
  function visit(name: string): void {
    for (const kind of KINDS) {
      using _counted = sessions.open(kind, { namespace: 'default', name })
      streams.openedStream(kind, () => ({ bytesToClient: 1, bytesToGuest: 1 }))('client_closed')
    }
  }

  /** The phases of all instances, by their names. */
  async function phases(): Promise<Map<string, { uid: string; phase: string | undefined }>> {
    const { items } = await store.list(VMIS, { namespace: 'default' })
    return new Map(
      items.map(({ metadata, status }) => [metadata.name, { uid: metadata.uid, phase: status?.phase }]),
    )
  }

  return {
    async run(names: readonly string[]) {
      for (const name of names) await store.create(VMS, buildVm(name, 'Always'))
      await turnUntil(async () => {
        const all = await phases()
        for (const { uid, phase } of all.values()) {
          if (phase === 'Scheduled' && node.guests.has(uid)) node.tell(uid, { phase: 'Running' })
        }
        return all.size === names.length && all.values().every(({ phase }) => phase === 'Running')
      })
      for (const name of names) visit(name)
    },
    async remove(names: readonly string[]) {
      for (const name of names) await store.delete(VMS, 'default', name)
      await turnUntil(async () => {
        for (const { guest } of node.removes) if (node.guests.has(guest.uid)) node.finish(guest.uid)
        return (await phases()).size === 0
      })
    },
    /** What each series is called, labels included. */
    async series(): Promise<string[]> {
      const families = parseExposition(await readText(metrics))
      return [...families.values()]
        .flatMap(({ samples }) => samples.map(({ name, labels }) => JSON.stringify([name, labels])))
        .toSorted((one, other) => (one < other ? -1 : 1))
    },
  }
}

test('200 VMs that came, had sessions and went leave nothing behind', async () => {
  const world = await serve()
  // Phases, routes and types of sessions are told from the first one on.
  await world.run(['first'])
  await world.remove(['first'])
  const before = await turnUntil(async () => {
    const found = await world.series()
    return !found.some((one) => one.includes('"first"')) && found
  })
  const names = Array.from({ length: 200 }, (_, index) => `vm-${index}`)
  await world.run(names)
  const meanwhile = await world.series()
  expect(meanwhile.length).toBeGreaterThan(before.length + names.length * 10)
  for (const kind of ['console', 'vnc', 'usbredir']) {
    expect(meanwhile.filter((one) => one.includes(`kubevirt_${kind}_active`))).toHaveLength(200)
  }
  await world.remove(names)
  expect(await turnUntil(async () => isSame(await world.series(), before))).toBe(true)
})

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
