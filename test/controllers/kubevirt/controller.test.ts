import { expect, test } from 'vitest'
import { isTrue } from '../../../src/kinds/meta.ts'
import { KUBEVIRTS, NODES } from '../../../src/kinds/table.ts'
import { startWorld } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

test('a KubeVirt object reads Deployed, with the version whose API is served', async () => {
  const world = await startWorld()
  const metadata = { namespace: 'default', name: 'kubevirt' }
  await world.store.create(KUBEVIRTS, { apiVersion: 'kubevirt.io/v1', kind: 'KubeVirt', metadata })
  const status = await turnUntil(
    async () => (await world.store.get(KUBEVIRTS, 'default', 'kubevirt'))?.status,
  )
  expect(status).toMatchObject({ phase: 'Deployed', observedKubeVirtVersion: 'v1.9.0' })
  // Admission of embedded mode knows without it.
  expect(status).not.toHaveProperty('defaultArchitecture')
  expect(isTrue(status.conditions, 'Available')).toBe(true)
  expect(isTrue(status.conditions, 'Degraded')).toBe(false)
})

/** A world in which nodes are a kubelet's, with a KubeVirt object; answers what its status says of the architecture. */
async function startCluster() {
  const world = await startWorld({ config: { ownsNodes: false, architecture: 's390x' } })
  const metadata = { namespace: 'default', name: 'kubevirt' }
  await world.store.create(KUBEVIRTS, { apiVersion: 'kubevirt.io/v1', kind: 'KubeVirt', metadata })
  const status = async () => (await world.store.get(KUBEVIRTS, 'default', 'kubevirt'))?.status
  await turnUntil(async () => (await status())?.phase === 'Deployed')
  return {
    world,
    defaultIs: async (wanted: string | undefined) =>
      turnUntil(async () => (await status())?.defaultArchitecture === wanted),
    addNode: (name: string, labels: Record<string, string>) =>
      world.store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } }),
  }
}

test('behind a kube-apiserver, guests get the architecture of the workers, whatever the controller runs on', async () => {
  const { world, defaultIs, addNode } = await startCluster()
  await addNode('control-plane', { 'kubernetes.io/arch': 'amd64' })
  // There is no worker: guests may be made all the same, to wait for one.
  expect(await defaultIs('s390x')).toBe(true)
  // Its worker answers, so it is marked as one that runs guests.
  await addNode('node-a', { 'kubernetes.io/arch': 'arm64' })
  world.clock.advance(10_000)
  expect(await defaultIs('arm64')).toBe(true)
  await addNode('amd-1', { 'kubernetes.io/arch': 'amd64', 'kubevirt.io/schedulable': 'true' })
  await addNode('amd-2', { 'kubernetes.io/arch': 'amd64', 'kubevirt.io/schedulable': 'false' })
  expect(await defaultIs('arm64')).toBe(true)
  await world.store.delete(NODES, '', 'node-a')
  expect(await defaultIs('amd64')).toBe(true)
  for (const name of ['amd-1', 'amd-2']) await world.store.delete(NODES, '', name)
  world.clock.advance(10_000)
  expect(await defaultIs('amd64')).toBe(true)
})

test('what is there stays until workers say otherwise', async () => {
  const { world, defaultIs, addNode } = await startCluster()
  const object = await world.store.get(KUBEVIRTS, 'default', 'kubevirt')
  if (!object?.status) throw new Error('there is no status')
  const status = { ...object.status, defaultArchitecture: 'amd64' }
  await world.store.update(KUBEVIRTS, { ...object, status }, { subresource: 'status' })
  expect(await defaultIs('amd64')).toBe(true)
  await addNode('node-a', { 'kubernetes.io/arch': 'arm64' })
  world.clock.advance(10_000)
  expect(await defaultIs('arm64')).toBe(true)
})
