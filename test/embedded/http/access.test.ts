import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'

const MAPS = '/api/v1/namespaces/ns1/configmaps'
const base = { kind: 'resource', group: '', version: 'v1', resource: 'configmaps', namespace: 'ns1' }
const VM = '/apis/kubevirt.io/v1/namespaces/ns1/virtualmachines/a'

let api: TestKubeApi
beforeAll(async () => {
  api = await openKubeApi()
})
afterAll(() => api[Symbol.asyncDispose]())

test.each([
  ['GET', MAPS, { ...base, verb: 'list' }],
  ['GET', `${MAPS}?watch=0`, { ...base, verb: 'list' }],
  ['GET', `${MAPS}?fieldSelector=metadata.name%3Da`, { ...base, verb: 'list', name: 'a' }],
  ['GET', '/api/v1/configmaps', { ...base, verb: 'list', namespace: undefined }],
  ['GET', `${MAPS}/a`, { ...base, verb: 'get', name: 'a' }],
  ['HEAD', `${MAPS}/a`, { ...base, verb: 'get', name: 'a' }],
  ['POST', MAPS, { ...base, verb: 'create' }],
  ['PUT', `${MAPS}/a`, { ...base, verb: 'update', name: 'a' }],
  ['PATCH', `${MAPS}/a`, { ...base, verb: 'patch', name: 'a' }],
  ['DELETE', `${MAPS}/a`, { ...base, verb: 'delete', name: 'a' }],
  ['DELETE', MAPS, { ...base, verb: 'deletecollection' }],
  ['GET', '/api/v1/namespaces/ns1', { ...base, verb: 'get', resource: 'namespaces', name: 'ns1' }],
  [
    'PUT',
    `${VM}/status`,
    {
      kind: 'resource',
      verb: 'update',
      group: 'kubevirt.io',
      version: 'v1',
      resource: 'virtualmachines',
      subresource: 'status',
      namespace: 'ns1',
      name: 'a',
    },
  ],
  [
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    {
      kind: 'resource',
      verb: 'create',
      group: 'authorization.k8s.io',
      version: 'v1',
      resource: 'selfsubjectaccessreviews',
    },
  ],
  [
    'POST',
    '/api/v1/namespaces/ns1/serviceaccounts/s/token',
    { ...base, verb: 'create', resource: 'serviceaccounts', subresource: 'token', name: 's' },
  ],
  ['GET', '/apis', { kind: 'path', verb: 'get', path: '/apis' }],
  ['GET', '/openapi/v3/api/v1', { kind: 'path', verb: 'get', path: '/openapi/v3/api/v1' }],
])('%s %s is authorized by its route', async (method, url, attributes) => {
  api.reviews.length = 0
  await api.ask(method, url)
  expect(api.reviews.map(({ attributes: asked }) => asked)).toEqual([JSON.parse(JSON.stringify(attributes))])
})

test('a watch is asked for as such', async () => {
  api.reviews.length = 0
  // Refused before it begins, so that it ends.
  await api.ask('GET', `${MAPS}?watch=true`, { token: 'nobody', headers: { accept: 'text/html' } })
  expect(api.reviews[0]?.attributes).toEqual({ ...base, verb: 'watch' })
})

test('what may not be done is refused in the words of kube-apiserver before anything is read', async () => {
  const answer = await api.ask('GET', '/api/v1/namespaces/ns2/secrets?limit=nonsense', { token: 'alice' })
  expect(answer).toMatchObject({
    code: 403,
    body: {
      reason: 'Forbidden',
      message:
        'secrets is forbidden: User "alice" cannot list resource "secrets" in API group "" in the namespace "ns2"',
    },
  })
  const body = 'this is no JSON'
  expect(await api.ask('POST', MAPS, { token: 'alice', body })).toMatchObject({ code: 403 })
})

test('nobody is anybody without credentials', async () => {
  expect(await api.ask('GET', MAPS, { token: '' })).toMatchObject({
    code: 401,
    body: { reason: 'Unauthorized' },
  })
  expect(await api.ask('GET', '/apis', { token: '' })).toMatchObject({ code: 401 })
})

test.each(['/version', '/healthz', '/livez', '/readyz'])('%s is for all', async (url) => {
  expect(await api.ask('GET', url, { token: '' })).toMatchObject({ code: 200 })
})

test.each(['/api/v2', '/apis/kubevirt.io/v2', '/api/v1/namespaces/ns1/pods', '/nothing'])(
  'there is nothing at %s',
  async (url) => {
    expect(await api.ask('GET', url)).toMatchObject({
      code: 404,
      body: {
        kind: 'Status',
        reason: 'NotFound',
        message: 'the server could not find the requested resource',
      },
    })
  },
)
