import { expect, test } from 'vitest'
import { CONFIGMAPS, VMIS } from '../../src/kinds/table.ts'
import type { ConfigMap } from '../../src/kinds/core.ts'
import { ADMIN, anyShape, openRegistry } from '../helpers/object-registry.ts'

const draft = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data: { a: '1' },
})

test('callers inside the process write, read and delete as their user', async () => {
  const users: string[] = []
  using r = await openRegistry({
    admission: {
      review: async ({ object, user }) => {
        users.push(user.name)
        return { object, warnings: [] }
      },
    },
  })
  const store = r.api.as({ name: 'system:serviceaccount:kubevirt:kubevirt-controller', groups: [] })
  users.length = 0
  const created = await store.create(CONFIGMAPS, draft('a'))
  const updated = await store.update(CONFIGMAPS, { ...created, data: { a: '2' } })
  expect(await store.get(CONFIGMAPS, 'default', 'a')).toEqual(updated)
  await store.patch(CONFIGMAPS, 'default', 'a', {
    type: 'json',
    operations: [{ op: 'add', path: '/data/b', value: '3' }],
  })
  await store.patch(CONFIGMAPS, 'default', 'a', { type: 'merge', body: { data: { a: null } } })
  expect((await store.list(CONFIGMAPS, { namespace: 'default' })).items[0]?.data).toEqual({ b: '3' })
  await store.delete(CONFIGMAPS, 'default', 'a')
  expect(await store.get(CONFIGMAPS, 'default', 'a')).toBeUndefined()
  expect(new Set(users)).toEqual(new Set(['system:serviceaccount:kubevirt:kubevirt-controller']))
  expect(users).toHaveLength(4)
})

test('a member that is undefined is as good as absent', async () => {
  using r = await openRegistry()
  const store = r.api.as(ADMIN)
  // As code without exact types may hand it in.
  const untidy = { ...draft('a'), immutable: undefined } as unknown as ConfigMap
  const created = await store.create(CONFIGMAPS, untidy)
  expect(created).not.toHaveProperty('immutable')
  const { resourceVersion } = (
    await store.update(CONFIGMAPS, { ...created, binaryData: undefined } as unknown as ConfigMap)
  ).metadata
  expect(resourceVersion).toBe(created.metadata.resourceVersion)
})

test('a field the schema does not know is refused, not dropped', async () => {
  using r = await openRegistry({
    shapes: {
      ...anyShape,
      check: (kind) => ({ causes: [], unknownFields: kind === VMIS ? ['spec.oops'] : [] }),
    },
  })
  const vmi = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'a', namespace: 'default' },
    spec: { domain: { devices: {} } },
  }
  await expect(r.api.as(ADMIN).create(VMIS, vmi)).rejects.toThrow('unknown field "spec.oops"')
})

test('a watch hands out objects that belong to the reader', async () => {
  using r = await openRegistry()
  const store = r.api.as(ADMIN)
  await store.create(CONFIGMAPS, draft('a'))
  const abort = new AbortController()
  const read = async () => {
    for await (const { object } of store.watch(CONFIGMAPS, '0', { namespace: 'default' }, abort.signal)) {
      const data = { ...object.data }
      if (object.data) object.data.a = 'spoilt'
      return data
    }
    return undefined
  }
  expect(await Promise.all([read(), read()])).toEqual([{ a: '1' }, { a: '1' }])
  expect(await store.get(CONFIGMAPS, 'default', 'a')).toMatchObject({ data: { a: '1' } })
})

test('a dry run deletes nothing', async () => {
  using r = await openRegistry()
  const store = r.api.as(ADMIN)
  await store.create(CONFIGMAPS, draft('a'))
  await store.delete(CONFIGMAPS, 'default', 'a', { dryRun: true })
  expect(await store.get(CONFIGMAPS, 'default', 'a')).toBeDefined()
})
