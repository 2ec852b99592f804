import { expect, test } from 'vitest'
import { startGarbageCollector } from '../../src/embedded/garbage-collector.ts'
import type { KubeObject, OwnerReference } from '../../src/kinds/meta.ts'
import { CONFIGMAPS, NODES, SECRETS } from '../../src/kinds/table.ts'
import { ADMIN, openRegistry, until } from '../helpers/object-registry.ts'

type Opened = Awaited<ReturnType<typeof openRegistry>>
const store = (r: Opened) => r.api.as(ADMIN)

const refTo = (
  { apiVersion, kind, metadata }: KubeObject,
  extra: Partial<OwnerReference> = {},
): OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  ...extra,
})
const GONE: OwnerReference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: 'gone' }

const makeMap = (
  r: Opened,
  name: string,
  ownerReferences: OwnerReference[] = [],
  finalizers: string[] = [],
  namespace = 'default',
) =>
  store(r).create(CONFIGMAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, ownerReferences, finalizers },
  })
const makeSecret = (r: Opened, name: string, ownerReferences: OwnerReference[], finalizers: string[] = []) =>
  store(r).create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default', ownerReferences, finalizers },
  })
const map = (r: Opened, name: string) => store(r).get(CONFIGMAPS, 'default', name)
const secret = (r: Opened, name: string) => store(r).get(SECRETS, 'default', name)
const isGone = (read: () => Promise<unknown>) => until(async () => (await read()) === undefined)

test('what a deleted owner owned is deleted, and what that owned', async () => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  const owner = await makeMap(r, 'owner')
  const child = await makeSecret(r, 'child', [refTo(owner)])
  await makeMap(r, 'grandchild', [refTo(child)])
  await makeSecret(r, 'other', [])
  await store(r).delete(CONFIGMAPS, 'default', 'owner')
  await isGone(() => map(r, 'grandchild'))
  expect(await secret(r, 'child')).toBeUndefined()
  expect(await secret(r, 'other')).toBeDefined()
})

test('what is owned by another as well loses only the owner that is gone', async () => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  const [one, two] = [await makeMap(r, 'one'), await makeMap(r, 'two')]
  await makeSecret(r, 'child', [refTo(one), refTo(two)])
  await store(r).delete(CONFIGMAPS, 'default', 'one')
  const child = await until(async () => {
    const found = await secret(r, 'child')
    return found?.metadata.ownerReferences?.length === 1 && found
  })
  expect(child.metadata.ownerReferences).toEqual([refTo(two)])
})

test('an owner that is gone already at the start is made up for', async () => {
  using r = await openRegistry()
  const owner = await makeMap(r, 'owner')
  await makeSecret(r, 'child', [refTo(owner)])
  await makeSecret(r, 'kept', [{ apiVersion: 'example.com/v1', kind: 'Unknown', name: 'x', uid: 'x' }])
  await store(r).delete(CONFIGMAPS, 'default', 'owner')
  await using _collector = startGarbageCollector(r.background)
  await isGone(() => secret(r, 'child'))
  // Of a kind that is not served here nobody can say that it is gone.
  expect(await secret(r, 'kept')).toBeDefined()
})

test.each([
  ['never was there', async () => GONE],
  ['lies in another namespace', async (r: Opened) => refTo(await makeMap(r, 'far', [], [], 'kube-public'))],
  ['has another UID', async (r: Opened) => ({ ...refTo(await makeMap(r, 'near')), uid: 'other' })],
  ['has another name', async (r: Opened) => ({ ...refTo(await makeMap(r, 'near')), name: 'other' })],
])('an owner that %s owns nothing', async (_state, makeRef) => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  await makeSecret(r, 'child', [await makeRef(r)])
  await isGone(() => secret(r, 'child'))
  expect(await secret(r, 'child')).toBeUndefined()
})

test('a cluster-scoped owner may own what is in a namespace', async () => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  const node = await store(r).create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } })
  await makeSecret(r, 'child', [refTo(node)])
  await makeSecret(r, 'bait', [GONE])
  await isGone(() => secret(r, 'bait'))
  expect(await secret(r, 'child')).toBeDefined()
  await store(r).delete(NODES, '', 'n')
  await isGone(() => secret(r, 'child'))
})

test('an owner deleted in the foreground waits for those that block it', async () => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  const owner = await makeMap(r, 'owner')
  await makeSecret(r, 'blocking', [refTo(owner, { blockOwnerDeletion: true })], ['a/b'])
  await makeSecret(r, 'free', [refTo(owner)], ['a/b'])
  await store(r).delete(CONFIGMAPS, 'default', 'owner', { propagationPolicy: 'Foreground' })
  await until(async () => (await secret(r, 'blocking'))?.metadata.deletionTimestamp)
  await until(async () => (await secret(r, 'free'))?.metadata.deletionTimestamp)
  expect((await map(r, 'owner'))?.metadata).toMatchObject({
    finalizers: ['foregroundDeletion'],
    deletionTimestamp: expect.any(String),
  })
  await store(r).patch(SECRETS, 'default', 'blocking', {
    type: 'merge',
    body: { metadata: { finalizers: null } },
  })
  await isGone(() => map(r, 'owner'))
  expect(await secret(r, 'free')).toBeDefined()
})

test('an owner deleted as orphaning leaves what it owned without it', async () => {
  using r = await openRegistry()
  await using _collector = startGarbageCollector(r.background)
  const owner = await makeMap(r, 'owner')
  await makeSecret(r, 'child', [refTo(owner)])
  await store(r).delete(CONFIGMAPS, 'default', 'owner', { propagationPolicy: 'Orphan' })
  await isGone(() => map(r, 'owner'))
  const child = await secret(r, 'child')
  expect(child).toBeDefined()
  expect(child?.metadata.ownerReferences).toBeUndefined()
})
