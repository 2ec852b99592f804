import { expect, test } from 'vitest'
import type { ListOptions } from '../../../src/embedded/api.ts'
import type { AnyObject } from '../../../src/embedded/parts.ts'
import { CONFIGMAPS, EVENTS, NAMESPACES, NODES, SECRETS, VMS } from '../../../src/kinds/table.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import { asAdmin, openRegistry } from '../../helpers/object-registry.ts'

async function openWithMaps(names: string[], database = openObjectDatabase({ file: ':memory:' })) {
  const r = await openRegistry({ database })
  for (const name of names) await add(r, name)
  return r
}
type Opened = Awaited<ReturnType<typeof openRegistry>>

const add = (r: Opened, name: string, labels = { odd: String(Number(name.slice(1)) % 2) }) =>
  r.api.create(
    CONFIGMAPS,
    'default',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } } as unknown as AnyObject,
    asAdmin(),
  )
const namesOf = ({ items }: { items: { metadata: { name: string } }[] }) =>
  items.map(({ metadata }) => metadata.name)
const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof StatusError)) throw new Error('was not refused', { cause: error })
  return error.toStatus()
}

test('the pages of a list show one version, whatever happens between them', async () => {
  using r = await openWithMaps(['m1', 'm2', 'm3', 'm4', 'm5'])
  const first = await r.api.list(CONFIGMAPS, { namespace: 'default', limit: 2 })
  expect(first).toMatchObject({ remainingItemCount: 3, resourceVersion: String(r.database.revision()) })
  await r.api.delete(CONFIGMAPS, 'default', 'm3', {}, asAdmin())
  await add(r, 'm35')
  const second = await r.api.list(CONFIGMAPS, {
    namespace: 'default',
    limit: 2,
    continue: first.continue ?? '',
  })
  const third = await r.api.list(CONFIGMAPS, {
    namespace: 'default',
    limit: 2,
    continue: second.continue ?? '',
  })
  expect([namesOf(first), namesOf(second), namesOf(third)]).toEqual([['m1', 'm2'], ['m3', 'm4'], ['m5']])
  expect(third).toEqual({ items: expect.any(Array), resourceVersion: first.resourceVersion })
  expect(namesOf(await r.api.list(CONFIGMAPS, {}))).toEqual(['m1', 'm2', 'm35', 'm4', 'm5'])
})

test('a page that is full by selection has no count of what remains', async () => {
  using r = await openWithMaps(['m1', 'm2', 'm3', 'm4', 'm5'])
  const page = await r.api.list(CONFIGMAPS, { labelSelector: 'odd=1', limit: 2 })
  expect(namesOf(page)).toEqual(['m1', 'm3'])
  expect(page.remainingItemCount).toBeUndefined()
  const rest = await r.api.list(CONFIGMAPS, {
    labelSelector: 'odd=1',
    limit: 2,
    continue: page.continue ?? '',
  })
  expect(namesOf(rest)).toEqual(['m5'])
  expect(rest.continue).toBeUndefined()
})

test('a selector looks through more rows than are read at a time', async () => {
  using r = await openWithMaps([])
  await Promise.all(
    Array.from({ length: 1203 }, (_value, number) =>
      add(r, `m${String(number).padStart(4, '0')}`, { odd: number === 1201 ? 'x' : 'y' }),
    ),
  )
  const page = await r.api.list(CONFIGMAPS, { labelSelector: 'odd=x', limit: 1 })
  expect(namesOf(page)).toEqual(['m1201'])
  expect(page.continue).toBeUndefined()
})

test('a list at an exact version shows that version', async () => {
  using r = await openWithMaps(['m1'])
  const then = String(r.database.revision())
  await add(r, 'm2')
  const exact = { resourceVersion: then, resourceVersionMatch: 'Exact' } as const
  expect(await r.api.list(CONFIGMAPS, exact)).toMatchObject({
    resourceVersion: then,
    items: [{ metadata: { name: 'm1' } }],
  })
  expect(namesOf(await r.api.list(CONFIGMAPS, { resourceVersion: then, limit: 5 }))).toEqual(['m1'])
  expect(namesOf(await r.api.list(CONFIGMAPS, { ...exact, resourceVersionMatch: 'NotOlderThan' }))).toEqual([
    'm1',
    'm2',
  ])
  expect(namesOf(await r.api.list(CONFIGMAPS, { resourceVersion: '0' }))).toEqual(['m1', 'm2'])
})

test('versions that are gone, to come or none are refused, each in its way', async () => {
  const database = openObjectDatabase({ file: ':memory:', retention: { changes: 10, ageMs: 1e9 } })
  using r = await openWithMaps(['m1', 'm2'], database)
  const page = await r.api.list(CONFIGMAPS, { limit: 1 })
  await Promise.all(Array.from({ length: 600 }, (_value, number) => add(r, `n${number}`)))
  const list = (options: ListOptions) => refusal(r.api.list(CONFIGMAPS, options))
  expect(await list({ limit: 1, continue: page.continue ?? '' })).toMatchObject({
    code: 410,
    reason: 'Expired',
  })
  expect(await list({ resourceVersion: '3', resourceVersionMatch: 'Exact' })).toMatchObject({ code: 410 })
  expect(await list({ resourceVersion: '999999' })).toMatchObject({
    code: 504,
    reason: 'Timeout',
    details: { retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge' }] },
  })
  expect(await list({ resourceVersion: 'x' })).toMatchObject({ code: 400 })
  expect(await list({ resourceVersion: '0', resourceVersionMatch: 'Exact' })).toMatchObject({ code: 400 })
  expect(await list({ continue: 'x' })).toMatchObject({
    code: 400,
    message: expect.stringContaining('continue key is not valid'),
  })
  expect(await list({ continue: page.continue ?? '', resourceVersion: '4' })).toMatchObject({ code: 400 })
})

const create = (r: Opened, kind: Kind, namespace: string, name: string, extra: object = {}) =>
  r.api.create(kind, namespace, { metadata: { name }, ...extra } as unknown as AnyObject, asAdmin())

test.each([
  [EVENTS, 'involvedObject.name=vm', ['e1']],
  [EVENTS, 'involvedObject.kind=VirtualMachine,reason!=Started', ['e2']],
  [EVENTS, 'type=Warning', ['e2']],
  [EVENTS, 'source=controller', ['e1']],
  [EVENTS, 'reportingComponent=controller', ['e1']],
  [SECRETS, 'type=Opaque', ['s1']],
  [SECRETS, 'type!=Opaque,metadata.name=s2', ['s2']],
  [NODES, 'spec.unschedulable=true', ['n2']],
  [NODES, 'spec.unschedulable=false', ['n1']],
  [NAMESPACES, 'status.phase=Active,metadata.name=kube-system', ['kube-system']],
  [VMS, 'metadata.name=v1', ['v1']],
  [VMS, 'metadata.namespace=default,metadata.name!=v1', ['v2']],
])('%o by %s', async (kind, fieldSelector, expected) => {
  using r = await openRegistry()
  const about = (name: string) => ({ involvedObject: { kind: 'VirtualMachine', namespace: 'default', name } })
  await create(r, EVENTS, 'default', 'e1', {
    ...about('vm'),
    type: 'Normal',
    reason: 'Started',
    source: { component: 'controller' },
    reportingComponent: 'controller',
  })
  await create(r, EVENTS, 'default', 'e2', { ...about('other'), type: 'Warning', reason: 'Failed' })
  await create(r, SECRETS, 'default', 's1')
  await create(r, SECRETS, 'default', 's2', { type: 'example.com/own' })
  await create(r, NODES, '', 'n1')
  await create(r, NODES, '', 'n2', { spec: { unschedulable: true } })
  await create(r, VMS, 'default', 'v1', { spec: {} })
  await create(r, VMS, 'default', 'v2', { spec: {} })
  expect(namesOf(await r.api.list(kind, { fieldSelector }))).toEqual(expected)
})

test.each([
  [CONFIGMAPS, { fieldSelector: 'spec.x=1' }, 'field label not supported: spec.x'],
  [NODES, { fieldSelector: 'metadata.namespace=a' }, 'field label not supported: metadata.namespace'],
  [CONFIGMAPS, { fieldSelector: 'toString=1' }, 'field label not supported: toString'],
  [CONFIGMAPS, { labelSelector: 'a in' }, 'unable to parse the label selector'],
])('%o by %j is refused', async (kind, selection, message) => {
  using r = await openRegistry()
  expect(await refusal(r.api.list(kind, selection))).toMatchObject({
    code: 400,
    message: expect.stringContaining(message),
  })
})
