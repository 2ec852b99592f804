import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withQuotas } from '../../../src/embedded/quotas/database.ts'
import { withLimits } from '../../../src/embedded/quotas/admission.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import { EVACUATION_ANNOTATION } from '../../../src/kinds/migration.ts'
import type { ResourceQuota } from '../../../src/kinds/quota.ts'
import { CONFIGMAPS, PVCS, RESOURCE_QUOTAS, VMIMS, VMIS, VMS } from '../../../src/kinds/table.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import { ADMIN, anyObject, asAdmin, openRegistry } from '../../helpers/object-registry.ts'
import { ALL, claim, draftOf, guestSpec, quota, SMALL, vm, vmi } from '../../helpers/quotas.ts'

let stack: DisposableStack
let registry: Awaited<ReturnType<typeof openRegistry>>

beforeEach(async () => {
  stack = new DisposableStack()
  const dir = stack.use(mkdtempDisposableSync(join(tmpdir(), 'virtgate-quota-')))
  const file = stack.use(openObjectDatabase({ file: join(dir.path, 'objects.db') }))
  const database = withQuotas(file, ALL)
  registry = stack.use(await openRegistry({ database, admission: withLimits(anyObject, database, ALL) }))
})
afterEach(() => stack[Symbol.dispose]())

function create(kind: Kind, object: { metadata: { name: string; namespace: string } }, dryRun = false) {
  // What a draft lacks, the registry fills in.
  const draft = draftOf(object) as unknown as KubeObject
  return registry.api.create(kind, 'default', draft, asAdmin({ dryRun }))
}

const configMap = (namespace: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', namespace },
})

async function usedOf(name: string): Promise<Record<string, unknown>> {
  const { status } = (await registry.api.get(RESOURCE_QUOTAS, 'default', name)) as ResourceQuota
  return status?.used ?? {}
}

/** The refusal that a write ends with. */
async function refusalOf(write: Promise<unknown>): Promise<StatusError> {
  const error = await write.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof StatusError)) throw error
  return error
}

test('a new quota counts what is there, and says what it limits', async () => {
  await create(VMS, vm('a'))
  await create(VMIS, vmi('a'))
  await create(PVCS, claim('disk', '2Gi'))
  await create(
    RESOURCE_QUOTAS,
    quota('q', {
      'count/virtualmachines.kubevirt.io': '5',
      'count/virtualmachineinstances.kubevirt.io': '5',
      'requests.cpu': '10',
      'requests.memory': '8Gi',
      'requests.storage': '1Ti',
      'local.storageclass.storage.k8s.io/persistentvolumeclaims': '4',
      persistentvolumeclaims: '7',
      resourcequotas: '1',
      pods: '3',
    }),
  )
  const { spec, status } = (await registry.api.get(RESOURCE_QUOTAS, 'default', 'q')) as ResourceQuota
  expect(status?.hard).toEqual(spec?.hard)
  expect(status?.used).toEqual({
    'count/virtualmachines.kubevirt.io': '1',
    'count/virtualmachineinstances.kubevirt.io': '1',
    'requests.cpu': '2',
    'requests.memory': '1Gi',
    'requests.storage': '2Gi',
    'local.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    persistentvolumeclaims: '1',
    resourcequotas: '1',
    pods: '0',
  })
})

test('what there is no room for is refused in the words of Kubernetes, and nothing of it is kept', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'requests.cpu': '3', 'requests.memory': '8Gi' }))
  await create(VMIS, vmi('a'))
  const refusal = await refusalOf(create(VMIS, vmi('b')))
  expect(refusal.toStatus()).toMatchObject({
    code: 403,
    reason: 'Forbidden',
    message:
      'virtualmachineinstances.kubevirt.io "b" is forbidden: exceeded quota: q, requested: requests.cpu=2, ' +
      'used: requests.cpu=2, limited: requests.cpu=3',
    details: { name: 'b', group: 'kubevirt.io', kind: 'virtualmachineinstances' },
  })
  expect(await registry.api.as(ADMIN).get(VMIS, 'default', 'b')).toBeUndefined()
  expect(await usedOf('q')).toEqual({ 'requests.cpu': '2', 'requests.memory': '1Gi' })
})

test('D5: 100 creates at once never get past a limit of 37', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'count/virtualmachines.kubevirt.io': '37' }))
  const names = Array.from({ length: 100 }, (_, index) => `vm-${index}`)
  const results = await Promise.allSettled(names.map((name) => create(VMS, vm(name))))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(37)
  expect((await registry.api.list(VMS, {})).items).toHaveLength(37)
  expect(await usedOf('q')).toEqual({ 'count/virtualmachines.kubevirt.io': '37' })
})

test('compute is released when a guest has ended, its object when it is deleted', async () => {
  const hard = { 'requests.cpu': '4', 'count/virtualmachineinstances.kubevirt.io': '4' }
  await create(RESOURCE_QUOTAS, quota('q', hard))
  const store = registry.api.as(ADMIN)
  await create(VMIS, vmi('a'))
  const running = await store.get(VMIS, 'default', 'a')
  await store.update(VMIS, { ...running!, status: { phase: 'Running' } })
  expect(await usedOf('q')).toMatchObject({ 'requests.cpu': '2' })
  const stood = await store.get(VMIS, 'default', 'a')
  await store.update(VMIS, { ...stood!, status: { phase: 'Succeeded' } })
  expect(await usedOf('q')).toEqual({
    'requests.cpu': '0',
    'count/virtualmachineinstances.kubevirt.io': '1',
  })
  await store.delete(VMIS, 'default', 'a')
  expect(await usedOf('q')).toEqual({
    'requests.cpu': '0',
    'count/virtualmachineinstances.kubevirt.io': '0',
  })
})

test('D5: a guest that grows is charged the difference, and refused where there is no room for that', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'requests.memory': '3Gi' }))
  await create(VMIS, vmi('a'))
  const store = registry.api.as(ADMIN)
  const grow = async (guest: string) => {
    const present = await store.get(VMIS, 'default', 'a')
    return store.update(VMIS, { ...present!, spec: guestSpec({ ...SMALL, memory: { guest } }) })
  }
  await grow('3Gi')
  expect(await usedOf('q')).toEqual({ 'requests.memory': '3Gi' })
  const refusal = await refusalOf(grow('4Gi'))
  expect(refusal.message).toContain(
    'exceeded quota: q, requested: requests.memory=1Gi, used: requests.memory=3Gi, limited: requests.memory=3Gi',
  )
  expect(await usedOf('q')).toEqual({ 'requests.memory': '3Gi' })
})

test('a quota that shrinks below what is there refuses nobody who asks for no more', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'requests.cpu': '4' }))
  await create(VMIS, vmi('a'))
  const store = registry.api.as(ADMIN)
  const present = await store.get(RESOURCE_QUOTAS, 'default', 'q')
  const smaller = await store.update(RESOURCE_QUOTAS, {
    ...present!,
    spec: { hard: { 'requests.cpu': '1', 'limits.cpu': '1' } },
  })
  expect(smaller.status).toEqual({
    hard: { 'requests.cpu': '1', 'limits.cpu': '1' },
    used: { 'requests.cpu': '2', 'limits.cpu': '0' },
  })
  const guest = await store.get(VMIS, 'default', 'a')
  await store.update(VMIS, { ...guest!, status: { phase: 'Running' } })
  const ended = await store.get(VMIS, 'default', 'a')
  await store.update(VMIS, { ...ended!, status: { phase: 'Succeeded' } })
  expect(await usedOf('q')).toMatchObject({ 'requests.cpu': '0' })
})

test('nobody writes down what a quota has used but the books', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'count/configmaps': '2' }))
  await create(CONFIGMAPS, configMap('default'))
  const store = registry.api.as(ADMIN)
  const present = await store.get(RESOURCE_QUOTAS, 'default', 'q')
  const lie = { hard: { 'count/configmaps': '99' }, used: { 'count/configmaps': '0' } }
  const answer = await store.update(RESOURCE_QUOTAS, { ...present!, status: lie }, { subresource: 'status' })
  expect(await usedOf('q')).toEqual({ 'count/configmaps': '1' })
  // Nothing is written, so that nobody who insists keeps everybody awake.
  expect(answer.metadata.resourceVersion).toBe(present?.metadata.resourceVersion)
})

test('a quota on quotas counts all of them, itself too', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { resourcequotas: '2' }))
  await create(RESOURCE_QUOTAS, quota('other', { pods: '1' }))
  expect(await usedOf('q')).toEqual({ resourcequotas: '2' })
  await expect(create(RESOURCE_QUOTAS, quota('third', { pods: '1' }))).rejects.toThrow(/exceeded quota: q/)
  await registry.api.as(ADMIN).delete(RESOURCE_QUOTAS, 'default', 'other')
  expect(await usedOf('q')).toEqual({ resourcequotas: '1' })
})

test('D5: a dry run is refused where the write would be, and takes nothing', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'requests.cpu': '3' }))
  await create(VMIS, vmi('a'), true)
  expect(await usedOf('q')).toEqual({ 'requests.cpu': '0' })
  await create(VMIS, vmi('a'))
  await expect(create(VMIS, vmi('b'), true)).rejects.toThrow(/exceeded quota: q/)
  expect(await usedOf('q')).toEqual({ 'requests.cpu': '2' })
})

test('a claim that gets its class later is charged to it from the start', async () => {
  const hard = { 'local.storageclass.storage.k8s.io/requests.storage': '3Gi' }
  await create(RESOURCE_QUOTAS, quota('q', hard))
  await create(PVCS, claim('disk', '2Gi'))
  expect(await usedOf('q')).toEqual({ 'local.storageclass.storage.k8s.io/requests.storage': '2Gi' })
  await expect(create(PVCS, claim('large', '2Gi'))).rejects.toThrow(/exceeded quota/)
  await create(PVCS, claim('elsewhere', '2Gi', 'fast'))
  const store = registry.api.as(ADMIN)
  const present = await store.get(PVCS, 'default', 'disk')
  await store.update(PVCS, { ...present!, spec: { ...present!.spec, storageClassName: 'local' } })
  expect(await usedOf('q')).toEqual({ 'local.storageclass.storage.k8s.io/requests.storage': '2Gi' })
})

test('D5: a migration takes none of what its guest has taken, and one that empties a node is never refused', async () => {
  const name = 'count/virtualmachineinstancemigrations.kubevirt.io'
  await create(RESOURCE_QUOTAS, quota('q', { [name]: '1', 'requests.cpu': '2' }))
  await create(VMIS, vmi('a'))
  const migration = (id: string, annotations: Record<string, string> = {}) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: id, namespace: 'default', annotations },
    spec: { vmiName: 'a' },
  })
  const put = (object: ReturnType<typeof migration>) =>
    registry.api.create(VMIMS, 'default', object as unknown as KubeObject, asAdmin())
  await put(migration('first'))
  await expect(put(migration('second'))).rejects.toThrow(/exceeded quota/)
  await put(migration('drain', { [EVACUATION_ANNOTATION]: 'node-a' }))
  expect(await usedOf('q')).toEqual({ [name]: '1', 'requests.cpu': '2' })
})

test('a quota of one namespace is nothing to another', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { configmaps: '0' }))
  await expect(create(CONFIGMAPS, configMap('default'))).rejects.toThrow(/exceeded quota/)
  const elsewhere = configMap('kube-system') as unknown as KubeObject
  await registry.api.create(CONFIGMAPS, 'kube-system', elsewhere, asAdmin())
})
