import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'

const NAMESPACES = '/api/v1/namespaces'
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const get = (accept: string) => ({ headers: { accept } })

let api: TestKubeApi
beforeAll(async () => {
  api = await openKubeApi()
})
afterAll(() => api[Symbol.asyncDispose]())

test.each([
  ['nothing', '', 'NamespaceList'],
  ['anything', '*/*', 'NamespaceList'],
  ['JSON of some sort', 'application/*', 'NamespaceList'],
  ['what we do not have, then JSON', 'application/vnd.kubernetes.protobuf,application/json', 'NamespaceList'],
  ['a table', `${TABLE},application/json`, 'Table'],
  ['an older table', 'application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'Table'],
  [
    'a table of tomorrow, then JSON',
    'application/json;as=Table;v=v9;g=meta.k8s.io,application/json',
    'NamespaceList',
  ],
  [
    'metadata',
    'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    'PartialObjectMetadataList',
  ],
  ['JSON rather than a table', `${TABLE};q=0.5,application/json`, 'NamespaceList'],
])('whoever takes %s gets %3$s', async (_what, accept, kind) => {
  expect(await api.ask('GET', NAMESPACES, get(accept))).toMatchObject({ code: 200, body: { kind } })
})

test.each([
  'text/html',
  'application/vnd.kubernetes.protobuf',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;q=0',
])('whoever takes %s alone is refused', async (accept) => {
  expect(await api.ask('GET', NAMESPACES, get(accept))).toMatchObject({
    code: 406,
    body: { reason: 'NotAcceptable' },
  })
})

test('nothing is written for somebody who cannot read the answer', async () => {
  const body = { metadata: { name: 'unwanted' } }
  expect(await api.ask('POST', NAMESPACES, { body, ...get('text/html') })).toMatchObject({ code: 406 })
  expect(await api.ask('GET', `${NAMESPACES}/unwanted`)).toMatchObject({ code: 404 })
})

test('a table has its columns, a version to watch from, and the metadata of its rows', async () => {
  const { body } = await api.ask('GET', NAMESPACES, get(TABLE))
  expect(body.apiVersion).toBe('meta.k8s.io/v1')
  expect(body.metadata.resourceVersion).toMatch(/^\d+$/)
  expect(body.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(['Name', 'Status', 'Age'])
  expect(body.rows[0]).toMatchObject({
    cells: ['default', 'Active', expect.stringMatching(/^\d+s$/)],
    object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'default' } },
  })
  expect(body.rows[0].object.spec).toBeUndefined()
})

test.each([
  ['None', null],
  ['Metadata', expect.objectContaining({ kind: 'PartialObjectMetadata' })],
  ['Object', expect.objectContaining({ kind: 'Namespace', spec: { finalizers: ['kubernetes'] } })],
])('rows include %s', async (include, object) => {
  const { body } = await api.ask('GET', `${NAMESPACES}?includeObject=${include}`, get(TABLE))
  expect(body.rows[0].object).toEqual(object)
})

test('one object is a table of one row', async () => {
  const { body } = await api.ask('GET', `${NAMESPACES}/default`, get(TABLE))
  expect(body.rows).toHaveLength(1)
  const partial = await api.ask(
    'GET',
    `${NAMESPACES}/default`,
    get('application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'),
  )
  expect(partial.body).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'default' } })
})

test('JSON is indented where somebody wants to read it', async () => {
  expect((await api.ask('GET', `${NAMESPACES}?pretty=true`)).text).toContain('\n  "kind": "NamespaceList"')
  expect((await api.ask('GET', NAMESPACES)).text).not.toContain('\n')
})
