import { expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'

const MAPS = '/api/v1/namespaces/ns1/configmaps'
const VMS = '/apis/kubevirt.io/v1/namespaces/ns1/virtualmachines'

const map = (name: string, extra: object = {}) => ({ metadata: { name }, data: { a: '1' }, ...extra })
const vm = (name: string, extra: object = {}) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name },
  spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } } },
  ...extra,
})

async function open(): Promise<TestKubeApi> {
  const api = await openKubeApi()
  await api.ask('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ns1' } } })
  return api
}

test('an object is created, read, replaced, listed and deleted', async () => {
  await using api = await open()
  const created = await api.ask('POST', MAPS, { body: map('a') })
  expect(created).toMatchObject({ code: 201, body: { kind: 'ConfigMap', metadata: { namespace: 'ns1' } } })
  expect(created.headers['content-type']).toBe('application/json')
  const { resourceVersion } = created.body.metadata
  expect(await api.ask('GET', `${MAPS}/a`)).toMatchObject({ code: 200, body: created.body })
  const body = { ...created.body, data: { a: '2' } }
  const replaced = await api.ask('PUT', `${MAPS}/a`, { body })
  expect(replaced).toMatchObject({ code: 200, body: { data: { a: '2' } } })
  expect(await api.ask('PUT', `${MAPS}/a`, { body })).toMatchObject({
    code: 409,
    body: { reason: 'Conflict' },
  })
  expect(replaced.body.metadata.resourceVersion).not.toBe(resourceVersion)
  const listed = await api.ask('GET', MAPS)
  expect(listed.body).toMatchObject({
    kind: 'ConfigMapList',
    apiVersion: 'v1',
    items: [{ data: { a: '2' } }],
  })
  expect(listed.body.metadata.resourceVersion).toBe(replaced.body.metadata.resourceVersion)
  expect(await api.ask('DELETE', `${MAPS}/a`)).toMatchObject({
    code: 200,
    body: { kind: 'Status', status: 'Success', details: { name: 'a', kind: 'configmaps' } },
  })
  expect(await api.ask('GET', `${MAPS}/a`)).toMatchObject({ code: 404, body: { reason: 'NotFound' } })
})

test('the objects of all namespaces are listed at one path, which takes nothing else', async () => {
  await using api = await open()
  await api.ask('POST', MAPS, { body: map('a') })
  await api.ask('POST', '/api/v1/namespaces/default/configmaps', { body: map('b') })
  const listed = await api.ask('GET', '/api/v1/configmaps?labelSelector=')
  expect(listed.body.items).toHaveLength(2)
  expect(await api.ask('POST', '/api/v1/configmaps', { body: map('c') })).toMatchObject({
    code: 405,
    body: { kind: 'Status', reason: 'MethodNotAllowed' },
  })
})

test('pages follow each other by their tokens', async () => {
  await using api = await open()
  for (const name of ['a', 'b', 'c']) await api.ask('POST', MAPS, { body: map(name) })
  const first = await api.ask('GET', `${MAPS}?limit=2`)
  expect(first.body).toMatchObject({ items: [{}, {}], metadata: { remainingItemCount: 1 } })
  const token = encodeURIComponent(first.body.metadata.continue)
  const second = await api.ask('GET', `${MAPS}?limit=2&continue=${token}`)
  expect(second.body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['c'])
})

test('many are deleted at once by a selector, and told as they were', async () => {
  await using api = await open()
  await api.ask('POST', MAPS, { body: map('a', { metadata: { name: 'a', labels: { x: '1' } } }) })
  await api.ask('POST', MAPS, { body: map('b') })
  const deleted = await api.ask('DELETE', `${MAPS}?labelSelector=x%3D1`)
  expect(deleted).toMatchObject({
    code: 200,
    body: { kind: 'ConfigMapList', items: [{ metadata: { name: 'a' } }] },
  })
  expect((await api.ask('GET', MAPS)).body.items).toHaveLength(1)
  expect(await api.ask('DELETE', '/api/v1/namespaces')).toMatchObject({ code: 405 })
})

test.each([
  ['merge', 'application/merge-patch+json', { data: { b: '2' } }, { a: '1', b: '2' }],
  [
    'merge with charset',
    'application/merge-patch+json; charset=utf-8',
    { data: { a: null, b: '2' } },
    { b: '2' },
  ],
  [
    'strategic',
    'application/strategic-merge-patch+json',
    { data: { $patch: 'replace', c: '3' } },
    { c: '3' },
  ],
  ['JSON', 'application/json-patch+json', [{ op: 'replace', path: '/data/a', value: '9' }], { a: '9' }],
])('a %s patch is applied', async (_name, type, patch, data) => {
  await using api = await open()
  await api.ask('POST', MAPS, { body: map('a') })
  const answer = await api.ask('PATCH', `${MAPS}/a`, {
    body: JSON.stringify(patch),
    headers: { 'content-type': type },
  })
  expect(answer.code).toBe(200)
  expect(answer.body.data).toEqual(data)
})

test.each([
  [
    'an apply patch',
    MAPS,
    'application/apply-patch+yaml',
    'server-side apply is not supported by this server yet',
  ],
  ['plain JSON', MAPS, 'application/json', 'accepted media types include: application/json-patch+json'],
  ['a strategic patch of a custom kind', VMS, 'application/strategic-merge-patch+json', 'unknown format'],
])('%s is refused with 415', async (_name, url, type, words) => {
  await using api = await open()
  await api.ask('POST', url, { body: url === VMS ? vm('a') : map('a') })
  const answer = await api.ask('PATCH', `${url}/a`, { body: '{}', headers: { 'content-type': type } })
  expect(answer).toMatchObject({ code: 415, body: { reason: 'UnsupportedMediaType' } })
  expect(answer.body.message).toContain(words)
})

test('the status is written through its own path alone', async () => {
  await using api = await open()
  const created = await api.ask('POST', VMS, { body: vm('a', { status: { printableStatus: 'Lies' } }) })
  expect(created.body.status).toBeUndefined()
  const status = { ...created.body, status: { printableStatus: 'Stopped' } }
  const written = await api.ask('PUT', `${VMS}/a/status`, { body: status })
  expect(written).toMatchObject({ code: 200, body: { status: { printableStatus: 'Stopped' } } })
  expect((await api.ask('GET', `${VMS}/a/status`)).body).toEqual(written.body)
  expect(await api.ask('GET', `${MAPS}/a/status`)).toMatchObject({ code: 404, body: { reason: 'NotFound' } })
})

test('a dry run says what would be and stores nothing', async () => {
  await using api = await open()
  expect(await api.ask('POST', `${MAPS}?dryRun=All`, { body: map('a') })).toMatchObject({ code: 201 })
  expect(await api.ask('GET', `${MAPS}/a`)).toMatchObject({ code: 404 })
  await api.ask('POST', MAPS, { body: map('a') })
  await api.ask('DELETE', `${MAPS}/a`, { body: { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] } })
  expect(await api.ask('GET', `${MAPS}/a`)).toMatchObject({ code: 200 })
})

test('an object with finalizers is answered as it waits', async () => {
  await using api = await open()
  await api.ask('POST', MAPS, {
    body: map('a', { metadata: { name: 'a', finalizers: ['example.com/wait'] } }),
  })
  const deleted = await api.ask('DELETE', `${MAPS}/a`, { body: { propagationPolicy: 'Foreground' } })
  expect(deleted.code).toBe(200)
  expect(deleted.body.metadata.deletionTimestamp).toBeDefined()
  expect(deleted.body.metadata.finalizers).toContain('foregroundDeletion')
})

test('a delete is refused where the object is another', async () => {
  await using api = await open()
  await api.ask('POST', MAPS, { body: map('a') })
  const body = { preconditions: { uid: 'other' } }
  expect(await api.ask('DELETE', `${MAPS}/a`, { body })).toMatchObject({ code: 409 })
})

test('unknown fields are warned of, refused or ignored as the client wants', async () => {
  await using api = await open()
  const body = map('a', { dat: {} })
  const warned = await api.ask('POST', MAPS, { body })
  expect(warned).toMatchObject({ code: 201, headers: { warning: ['299 - "unknown field \\"dat\\""'] } })
  const refused = await api.ask('POST', `${MAPS}?fieldValidation=Strict`, { body: map('b', { dat: {} }) })
  expect(refused).toMatchObject({
    code: 400,
    body: { message: 'strict decoding error: unknown field "dat"' },
  })
  const ignored = await api.ask('POST', `${MAPS}?fieldValidation=Ignore`, { body: map('c', { dat: {} }) })
  expect(ignored.code).toBe(201)
  expect(ignored.headers['warning']).toBeUndefined()
  expect(ignored.body.dat).toBeUndefined()
})

test('a name is taken as it was encoded', async () => {
  await using api = await open()
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
  await api.ask('POST', roles, { body: { metadata: { name: 'system:x' }, rules: [] } })
  expect(await api.ask('GET', `${roles}/system%3Ax`)).toMatchObject({ code: 200 })
  expect(await api.ask('GET', `${roles}/${'a'.repeat(253)}`)).toMatchObject({
    code: 404,
    body: { reason: 'NotFound' },
  })
})

test('HEAD answers as GET does, and never streams', async () => {
  await using api = await open()
  expect(await api.ask('HEAD', '/api/v1/namespaces/ns1')).toMatchObject({ code: 200, text: '' })
  expect(await api.ask('HEAD', '/api/v1/namespaces?watch=1')).toMatchObject({ code: 200, text: '' })
})

test('members that are null are as if they were not there', async () => {
  await using api = await open()
  const created = await api.ask('POST', VMS, {
    body: vm('a', { status: null, metadata: { name: 'a', labels: null } }),
  })
  expect(created).toMatchObject({ code: 201 })
  const template = {
    metadata: { creationTimestamp: null },
    spec: { domain: { devices: {} }, hostname: null },
  }
  const body = { ...created.body, spec: { runStrategy: 'Halted', running: null, template } }
  const replaced = await api.ask('PUT', `${VMS}/a?fieldValidation=Strict`, { body })
  expect(replaced.body.spec).toEqual({
    runStrategy: 'Halted',
    template: { metadata: {}, spec: { domain: { devices: {} } } },
  })
})
