import { expect, test } from 'vitest'
import type { AnyObject } from '../../../src/embedded/parts.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import {
  CLUSTER_ROLES,
  CONFIGMAPS,
  CONTROLLER_REVISIONS,
  EVENTS,
  NAMESPACES,
  PVCS,
  SECRETS,
  VMS,
} from '../../../src/kinds/table.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { asAdmin, openRegistry } from '../../helpers/object-registry.ts'

type Opened = Awaited<ReturnType<typeof openRegistry>>
const create = (r: Opened, kind: Kind, name: string, extra: object = {}) =>
  r.api.create(
    kind,
    kind.namespaced ? 'default' : '',
    { metadata: { name }, ...extra } as unknown as AnyObject,
    asAdmin(),
  ) as Promise<AnyObject>
const merge = (r: Opened, kind: Kind, name: string, body: object) =>
  r.api.patch(kind, kind.namespaced ? 'default' : '', name, 'merge', body, asAdmin()) as Promise<AnyObject>
const fieldsOf = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof StatusError)) throw new Error('was not refused', { cause: error })
  expect(error.code).toBe(422)
  return error.details?.causes?.map(({ field }) => field)
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('plain text of a Secret is put into its data and never shown again', async () => {
  using r = await openRegistry()
  const created = await create(r, SECRETS, 's', {
    stringData: { a: 'ä', b: 'new' },
    data: { b: base64('old'), c: base64('c') },
  })
  expect(created).toMatchObject({
    type: 'Opaque',
    data: { a: base64('ä'), b: base64('new'), c: base64('c') },
  })
  expect(created).not.toHaveProperty('stringData')
  const patched = await merge(r, SECRETS, 's', { stringData: { c: 'd' } })
  expect(patched).toMatchObject({ type: 'Opaque', data: { c: base64('d'), a: base64('ä') } })
  expect(patched).not.toHaveProperty('stringData')
})

test.each([
  [SECRETS, { data: { 'a b': '' } }, ['data[a b]']],
  [SECRETS, { data: { a: '*' } }, ['data[a]']],
  [SECRETS, { data: { a: base64('x'.repeat(1024 * 1024 + 1)) } }, ['data']],
  [SECRETS, { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, ['data[tls.key]']],
  [SECRETS, { type: 'kubernetes.io/dockerconfigjson' }, ['data[.dockerconfigjson]']],
  [CONFIGMAPS, { data: { '..a': '' } }, ['data[..a]']],
  [CONFIGMAPS, { data: { a: '' }, binaryData: { a: '' } }, ['data[a]']],
  [CONFIGMAPS, { binaryData: { a: '*' } }, ['binaryData[a]']],
  [CONFIGMAPS, { data: { a: 'x'.repeat(1024 * 1024 + 1) } }, ['']],
  [EVENTS, { involvedObject: { namespace: 'other' } }, ['involvedObject.namespace']],
])('$0.kind is refused at $2 (case %#)', async (kind, extra, fields) => {
  using r = await openRegistry()
  expect(await fieldsOf(create(r, kind, 'a', extra))).toEqual(fields)
})

test('a Secret of just a megabyte is taken', async () => {
  using r = await openRegistry()
  const created = await create(r, SECRETS, 's', { data: { a: base64('x'.repeat(1024 * 1024)) } })
  expect(created.metadata.name).toBe('s')
})

test('what is immutable stays, its labels do not', async () => {
  using r = await openRegistry()
  await create(r, SECRETS, 's', { immutable: true, data: { a: base64('1') } })
  await create(r, CONFIGMAPS, 'c', { immutable: true, data: { a: '1' } })
  expect(await fieldsOf(merge(r, SECRETS, 's', { stringData: { a: '2' } }))).toEqual(['data'])
  expect(await fieldsOf(merge(r, SECRETS, 's', { immutable: null }))).toEqual(['immutable'])
  expect(await fieldsOf(merge(r, CONFIGMAPS, 'c', { binaryData: { b: '' } }))).toEqual(['binaryData'])
  expect(await merge(r, CONFIGMAPS, 'c', { metadata: { labels: { a: 'b' } } })).toMatchObject({
    data: { a: '1' },
  })
})

test('some things are fixed when they are made', async () => {
  using r = await openRegistry()
  await create(r, SECRETS, 's')
  await create(r, CONTROLLER_REVISIONS, 'c', { revision: 1, data: { a: 1 } })
  expect(await fieldsOf(merge(r, SECRETS, 's', { type: 'other' }))).toEqual(['type'])
  expect(await fieldsOf(merge(r, CONTROLLER_REVISIONS, 'c', { data: { a: 2 } }))).toEqual(['data'])
})

test('names are spelt as their kind wants it', async () => {
  using r = await openRegistry()
  await create(r, CLUSTER_ROLES, 'system:node')
  await create(r, VMS, 'a.b', { spec: {} })
  expect(await fieldsOf(create(r, NAMESPACES, 'a.b'))).toEqual(['metadata.name'])
  expect(await fieldsOf(create(r, VMS, 'system:node', { spec: {} }))).toEqual(['metadata.name'])
  expect(await fieldsOf(create(r, CLUSTER_ROLES, 'a/b'))).toEqual(['metadata.name'])
})

test('a new namespace is active, labelled with its name, and keeps its finalizer', async () => {
  using r = await openRegistry()
  const created = await create(r, NAMESPACES, 'n', {
    spec: { finalizers: [] },
    status: { phase: 'Terminating' },
  })
  expect(created).toMatchObject({
    metadata: { labels: { 'kubernetes.io/metadata.name': 'n' } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  })
  expect(await merge(r, NAMESPACES, 'n', { spec: { finalizers: null }, metadata: { labels: null } })).toEqual(
    created,
  )
})

test('a new claim waits for its volume', async () => {
  using r = await openRegistry()
  expect(
    await create(r, PVCS, 'p', { spec: { accessModes: ['ReadWriteOnce'] }, status: { phase: 'Bound' } }),
  ).toMatchObject({
    spec: { volumeMode: 'Filesystem' },
    status: { phase: 'Pending' },
  })
})
