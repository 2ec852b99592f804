import { onTestFinished, expect, test } from 'vitest'
import { LEASES, NAMESPACES } from '../../src/kinds/table.ts'
import { registerWorker } from '../../src/roles/worker-registry.ts'
import type { Store } from '../../src/store/store.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'
import { ADMIN, openRegistry } from '../helpers/object-registry.ts'

const NAMESPACE = 'kubevirt'
const clock = createFakeClock()
const worker = { namespace: NAMESPACE, name: 'node01.example', host: '10.0.0.1', port: 8186 }

async function openStore(): Promise<Store> {
  const registry = await openRegistry({ clock })
  onTestFinished(() => registry[Symbol.dispose]())
  const store = registry.api.as(ADMIN)
  await store.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
  return store
}

test('a worker has a Lease of its node that says where it listens', async () => {
  const store = await openStore()
  await registerWorker(store, worker, clock)
  expect(await store.get(LEASES, NAMESPACE, 'virtgate-worker-node01.example')).toMatchObject({
    metadata: {
      labels: { 'virtgate.io/worker': 'true' },
      annotations: { 'virtgate.io/address': '10.0.0.1:8186' },
    },
    spec: {
      holderIdentity: 'node01.example',
      leaseDurationSeconds: 40,
      renewTime: '2026-01-01T00:00:00.000000Z',
    },
  })
})

test('registered again it gets its new address, and what others wrote stays', async () => {
  const store = await openStore()
  const first = await registerWorker(store, worker, clock)
  expect(await registerWorker(store, worker, clock)).toEqual(first)
  const body = { metadata: { labels: { rack: '7' } } }
  await store.patch(LEASES, NAMESPACE, first.metadata.name, { type: 'merge', body })
  const moved = await registerWorker(store, { ...worker, host: 'fd00::1' }, clock)
  expect(moved.metadata.uid).toBe(first.metadata.uid)
  expect(moved.metadata.labels).toMatchObject({ rack: '7' })
  expect(moved.metadata.annotations).toMatchObject({ 'virtgate.io/address': '[fd00::1]:8186' })
})

test('two that register the same worker at once both succeed', async () => {
  const store = await openStore()
  const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3']
  const leases = await Promise.all(hosts.map((host) => registerWorker(store, { ...worker, host }, clock)))
  expect(new Set(leases.map(({ metadata }) => metadata.uid)).size).toBe(1)
})

test.each([['Node01'], [''], ['a'.repeat(240)]])('%j is no name of a node', async (name) => {
  await expect(registerWorker(await openStore(), { ...worker, name }, clock)).rejects.toThrow(RangeError)
})
