import { afterEach, beforeEach, expect, test } from 'vitest'
import { withQuotas } from '../../../src/embedded/quotas/database.ts'
import { withLimits } from '../../../src/embedded/quotas/admission.ts'
import { openSchemas } from '../../../src/embedded/schemas/open.ts'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import type { LimitRange, LimitRangeItem, ResourceQuota } from '../../../src/kinds/quota.ts'
import { LIMIT_RANGES, PVCS, RESOURCE_QUOTAS, VMIS, VMS } from '../../../src/kinds/table.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import { makeAdmission } from '../../helpers/admission.ts'
import { ADMIN, asAdmin, openRegistry } from '../../helpers/object-registry.ts'
import { ALL, claim, draftOf, guestSpec, quota, SMALL, vm, vmi } from '../../helpers/quotas.ts'

let registry: Awaited<ReturnType<typeof openRegistry>>

/** With KubeVirt's own rules and schemas, as the server has them. */
beforeEach(async () => {
  const database = withQuotas(openObjectDatabase({ file: ':memory:' }), ALL)
  registry = await openRegistry({
    database,
    shapes: openSchemas(),
    admission: withLimits(makeAdmission(), database, ALL),
  })
})
afterEach(() => registry[Symbol.dispose]())

function create(
  kind: Kind,
  object: { metadata: { name: string; namespace: string }; kind: string; spec?: object },
) {
  // What a draft lacks, the registry fills in.
  return registry.api.create(kind, 'default', draftOf(object) as unknown as KubeObject, asAdmin())
}

function limit(...limits: LimitRangeItem[]): Promise<KubeObject> {
  return create(LIMIT_RANGES, { ...quota('range', {}), kind: 'LimitRange', spec: { limits } })
}

const usedOf = async () =>
  ((await registry.api.get(RESOURCE_QUOTAS, 'default', 'q')) as ResourceQuota).status?.used

test('a guest that says nothing gets the size that its namespace gives', async () => {
  await limit({
    type: 'Container',
    default: { cpu: '2', memory: '1Gi' },
    defaultRequest: { memory: '512Mi' },
  })
  const { spec } = (await create(VMIS, vmi('a', guestSpec()))) as Vmi
  expect(spec.domain.resources).toEqual({
    requests: { cpu: '2', memory: '512Mi' },
    limits: { cpu: '2', memory: '1Gi' },
  })
  // KubeVirt's rules make a guest of it.
  expect(spec.domain.memory?.guest).toBe('512Mi')
  expect(spec.domain.cpu).toMatchObject({ sockets: 2, cores: 1, threads: 1 })
})

test('a stored range has the defaults that follow from its bounds', async () => {
  await limit({ type: 'Container', max: { cpu: '4' } })
  const { spec } = (await registry.api.get(LIMIT_RANGES, 'default', 'range')) as LimitRange
  expect(spec?.limits).toEqual([
    { type: 'Container', max: { cpu: '4' }, default: { cpu: '4' }, defaultRequest: { cpu: '4' } },
  ])
  await expect(limit({ type: 'Pod', default: { cpu: '1' } })).rejects.toMatchObject({ code: 422 })
})

test('a quota on limits is met by the defaults of a range', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'limits.memory': '3Gi' }))
  await expect(create(VMIS, vmi('a'))).rejects.toThrow(
    'virtualmachineinstances.kubevirt.io "a" is forbidden: failed quota: q: must specify limits.memory for: a',
  )
  await limit({ type: 'Container', default: { memory: '2Gi' } })
  await create(VMIS, vmi('a'))
  expect(await usedOf()).toEqual({ 'limits.memory': '2Gi' })
  await expect(create(VMIS, vmi('b'))).rejects.toThrow(/exceeded quota: q, requested: limits.memory=2Gi/)
})

test('a guest out of bounds is refused with all reasons, and a VM of it is not', async () => {
  await limit({ type: 'Pod', max: { cpu: '1', memory: '512Mi' } })
  await expect(create(VMIS, vmi('a'))).rejects.toMatchObject({
    code: 403,
    message:
      'virtualmachineinstances.kubevirt.io "a" is forbidden: [maximum cpu usage per Pod is 1, but limit is 2, ' +
      'maximum memory usage per Pod is 512Mi, but limit is 1Gi]',
  })
  await create(VMS, vm('a'))
})

test('a guest that was there before the range goes on, as long as it stays as it is', async () => {
  await create(VMIS, vmi('a'))
  await limit({ type: 'Pod', max: { cpu: '1' } })
  const store = registry.api.as({ name: 'system:serviceaccount:kubevirt:kubevirt-controller', groups: [] })
  const present = await store.get(VMIS, 'default', 'a')
  const running = await store.update(VMIS, { ...present!, status: { ...present!.status, phase: 'Running' } })
  expect(running.status?.phase).toBe('Running')
  await store.delete(VMIS, 'default', 'a')
})

test('a claim out of bounds is refused, also when it grows', async () => {
  await limit({ type: 'PersistentVolumeClaim', max: { storage: '5Gi' } })
  const large = claim('large', '6Gi')
  const spec = { accessModes: ['ReadWriteOnce'] }
  await expect(create(PVCS, { ...large, spec: { ...large.spec, ...spec } })).rejects.toThrow(
    'persistentvolumeclaims "large" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, ' +
      'but request is 6Gi',
  )
  const small = claim('small', '5Gi')
  await create(PVCS, { ...small, spec: { ...small.spec, ...spec } })
  const store = registry.api.as(ADMIN)
  const present = await store.get(PVCS, 'default', 'small')
  const grown = { ...present!, spec: { ...present!.spec, resources: { requests: { storage: '9Gi' } } } }
  await expect(store.update(PVCS, grown)).rejects.toThrow(/but request is 9Gi/)
})

test('a quota that makes no sense is refused', async () => {
  await expect(create(RESOURCE_QUOTAS, quota('q', { vms: '1' }))).rejects.toMatchObject({
    code: 422,
    details: { causes: [{ field: 'spec.hard[vms]' }] },
  })
})

test('what is dropped of a guest that is refused is everything', async () => {
  await create(RESOURCE_QUOTAS, quota('q', { 'requests.memory': '1Gi' }))
  await create(VMIS, vmi('a', guestSpec(SMALL)))
  await expect(create(VMIS, vmi('b'))).rejects.toThrow(/exceeded quota/)
  expect((await registry.api.list(VMIS, {})).items).toHaveLength(1)
  expect(await usedOf()).toEqual({ 'requests.memory': '1Gi' })
})
