import { expect, test } from 'vitest'
import { createSystemNamespaces, startNamespaceController } from '../../src/embedded/namespaces.ts'
import type { AnyObject } from '../../src/embedded/parts.ts'
import { CONFIGMAPS, NAMESPACES, SERVICE_ACCOUNTS, VMS } from '../../src/kinds/table.ts'
import { ADMIN, asAdmin, openRegistry, until } from '../helpers/object-registry.ts'

type Opened = Awaited<ReturnType<typeof openRegistry>>
const store = (r: Opened) => r.api.as(ADMIN)
const account = (r: Opened, namespace: string) => store(r).get(SERVICE_ACCOUNTS, namespace, 'default')
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
const configMap = (name: string, ns: string, finalizers: string[] = []) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: ns, finalizers },
})

test('the namespaces that are always there are made once', async () => {
  using r = await openRegistry()
  const before = r.database.revision()
  await createSystemNamespaces(store(r))
  expect(r.database.revision()).toBe(before)
  const { items } = await store(r).list(NAMESPACES)
  expect(items.map(({ metadata }) => metadata.name)).toEqual([
    'default',
    'kube-node-lease',
    'kube-public',
    'kube-system',
  ])
})

test('every namespace has its default account, also when it was deleted', async () => {
  using r = await openRegistry()
  await using _controller = startNamespaceController(r.background)
  await until(() => account(r, 'kube-system'))
  await store(r).create(NAMESPACES, namespace('later'))
  const first = await until(() => account(r, 'later'))
  await store(r).delete(SERVICE_ACCOUNTS, 'later', 'default')
  const second = await until(() => account(r, 'later'))
  expect(second.metadata.uid).not.toBe(first.metadata.uid)
})

test('a deleted namespace goes with all that is in it, and not before', async () => {
  using r = await openRegistry()
  await using _controller = startNamespaceController(r.background)
  await store(r).create(NAMESPACES, namespace('going'))
  await store(r).create(CONFIGMAPS, configMap('free', 'going'))
  await store(r).create(CONFIGMAPS, configMap('held', 'going', ['a/b']))
  await r.api.create(VMS, 'going', { metadata: { name: 'vm' }, spec: {} } as unknown as AnyObject, asAdmin())
  await store(r).delete(NAMESPACES, '', 'going')
  await until(async () => (await store(r).list(VMS, { namespace: 'going' })).items.length === 0)
  await until(async () => (await store(r).list(CONFIGMAPS, { namespace: 'going' })).items.length === 1)
  expect(await store(r).get(NAMESPACES, '', 'going')).toMatchObject({ status: { phase: 'Terminating' } })
  await store(r).patch(CONFIGMAPS, 'going', 'held', {
    type: 'merge',
    body: { metadata: { finalizers: null } },
  })
  await until(async () => (await store(r).get(NAMESPACES, '', 'going')) === undefined)
  expect(await account(r, 'going')).toBeUndefined()
})

test('a namespace with a finalizer of its own stays until that is gone', async () => {
  using r = await openRegistry()
  await using _controller = startNamespaceController(r.background)
  await store(r).create(NAMESPACES, { ...namespace('held'), metadata: { name: 'held', finalizers: ['a/b'] } })
  await store(r).delete(NAMESPACES, '', 'held')
  await until(async () => (await store(r).get(NAMESPACES, '', 'held'))?.spec?.finalizers?.length === 0)
  await store(r).patch(NAMESPACES, '', 'held', { type: 'merge', body: { metadata: { finalizers: null } } })
  expect(await store(r).get(NAMESPACES, '', 'held')).toBeUndefined()
})

test('a deletion that was begun before a restart is finished after it', async () => {
  using r = await openRegistry()
  await store(r).create(NAMESPACES, namespace('going'))
  await store(r).create(CONFIGMAPS, configMap('c', 'going'))
  await store(r).delete(NAMESPACES, '', 'going')
  await using _controller = startNamespaceController(r.background)
  await until(async () => (await store(r).get(NAMESPACES, '', 'going')) === undefined)
  expect(await store(r).get(CONFIGMAPS, 'going', 'c')).toBeUndefined()
})
