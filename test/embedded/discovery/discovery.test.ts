import { afterAll, beforeAll, expect, test } from 'vitest'
import { KINDS } from '../../../src/kinds/table.ts'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'

let api: TestKubeApi
beforeAll(async () => {
  api = await openKubeApi()
})
afterAll(() => api[Symbol.asyncDispose]())

const aggregated = (version: string) =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`

test('the core group and all others are named', async () => {
  expect((await api.ask('GET', '/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
  const { body } = await api.ask('GET', '/apis')
  expect(body).toMatchObject({ kind: 'APIGroupList', apiVersion: 'v1' })
  const names = body.groups.map(({ name }: { name: string }) => name)
  const groups = new Set(KINDS.map(({ group }) => group).filter((group) => group !== ''))
  expect(names).toEqual(
    expect.arrayContaining([...groups, 'authorization.k8s.io', 'subresources.kubevirt.io']),
  )
  expect(new Set(names).size).toBe(names.length)
})

test('a group says its versions, the preferred one first', async () => {
  expect((await api.ask('GET', '/apis/subresources.kubevirt.io')).body).toMatchObject({
    kind: 'APIGroup',
    name: 'subresources.kubevirt.io',
    versions: [{ version: 'v1' }, { version: 'v1alpha3' }],
    preferredVersion: { groupVersion: 'subresources.kubevirt.io/v1' },
  })
})

test('a version says its resources, with their subresources', async () => {
  const { body } = await api.ask('GET', '/apis/kubevirt.io/v1')
  expect(body).toMatchObject({ kind: 'APIResourceList', groupVersion: 'kubevirt.io/v1' })
  expect(body.resources.slice(0, 3)).toEqual([
    {
      name: 'virtualmachines',
      singularName: 'virtualmachine',
      namespaced: true,
      kind: 'VirtualMachine',
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      shortNames: ['vm', 'vms'],
      categories: ['all'],
    },
    {
      name: 'virtualmachines/status',
      singularName: '',
      namespaced: true,
      kind: 'VirtualMachine',
      verbs: ['get', 'patch', 'update'],
    },
    expect.objectContaining({ name: 'virtualmachineinstances' }),
  ])
})

test('namespaces cannot be deleted by the dozen, and tokens are asked of service accounts', async () => {
  const { body } = await api.ask('GET', '/api/v1')
  const find = (wanted: string) => body.resources.find(({ name }: { name: string }) => name === wanted)
  expect(find('namespaces').verbs).not.toContain('deletecollection')
  expect(find('serviceaccounts/token')).toMatchObject({
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'TokenRequest',
    verbs: ['create'],
  })
})

test.each(['v2', 'v2beta1'])('everything comes in one document of %s', async (version) => {
  const core = await api.ask('GET', '/api', { headers: { accept: aggregated(version) } })
  expect(core.headers['content-type']).toBe(aggregated(version))
  expect(core.body.apiVersion).toBe(`apidiscovery.k8s.io/${version}`)
  expect(core.body.items).toMatchObject([{ versions: [{ version: 'v1', freshness: 'Current' }] }])
  const { body } = await api.ask('GET', '/apis', { headers: { accept: aggregated(version) } })
  const find = (wanted: string) =>
    body.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === wanted).versions[0]
  expect(find('kubevirt.io').resources[0]).toMatchObject({
    resource: 'virtualmachines',
    responseKind: { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachine' },
    scope: 'Namespaced',
    singularResource: 'virtualmachine',
    shortNames: ['vm', 'vms'],
    subresources: [{ subresource: 'status', verbs: ['get', 'patch', 'update'] }],
  })
})

test('parents in the group of subresources are placeholders (contract: AD-2)', async () => {
  const { body } = await api.ask('GET', '/apis', { headers: { accept: aggregated('v2') } })
  const group = body.items.find(
    ({ metadata }: { metadata: { name: string } }) => metadata.name === 'subresources.kubevirt.io',
  )
  const parent = group.versions[0].resources.find(
    ({ resource }: { resource: string }) => resource === 'virtualmachines',
  )
  expect(parent).toMatchObject({
    responseKind: { group: '', version: '', kind: '' },
    verbs: [],
    singularResource: 'virtualmachine',
  })
  expect(parent.subresources).toContainEqual({
    subresource: 'start',
    responseKind: { group: 'subresources.kubevirt.io', version: 'v1', kind: 'StartOptions' },
    verbs: ['update'],
  })
})

test('who does not know aggregated discovery gets the plain form', async () => {
  const accept = `application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json`
  expect((await api.ask('GET', '/apis', { headers: { accept } })).body.kind).toBe('APIGroupList')
  expect(await api.ask('GET', '/apis', { headers: { accept: 'text/html' } })).toMatchObject({ code: 406 })
})

test.each(['/apis', '/api/v1', '/version', '/openapi/v3', '/openapi/v3/apis/kubevirt.io/v1'])(
  '%s is not sent again to who has it',
  async (url) => {
    const first = await api.ask('GET', url)
    expect(first).toMatchObject({ code: 200, headers: { vary: 'Accept' } })
    const etag = String(first.headers['etag'])
    const again = await api.ask('GET', url, { headers: { 'if-none-match': etag } })
    expect(again).toMatchObject({ code: 304, text: '', headers: { etag } })
    expect(await api.ask('GET', url, { headers: { 'if-none-match': '"other"' } })).toMatchObject({
      code: 200,
    })
  },
)

test('the forms of discovery do not share a tag', async () => {
  const tags = await Promise.all(
    ['application/json', aggregated('v2'), aggregated('v2beta1')].map(
      async (accept) => (await api.ask('GET', '/apis', { headers: { accept } })).headers['etag'],
    ),
  )
  expect(new Set(tags).size).toBe(3)
})

test('/ names every group and version, and nothing that lies below one, as kube-apiserver does', async () => {
  const { paths } = (await api.ask('GET', '/')).body
  const { groups } = (await api.ask('GET', '/apis')).body
  const versions = groups.flatMap(
    ({ name, versions: served }: { name: string; versions: { groupVersion: string }[] }) => [
      `/apis/${name}`,
      ...served.map(({ groupVersion }) => `/apis/${groupVersion}`),
    ],
  )
  expect(versions).toContain('/apis/kubevirt.io/v1')
  const below = paths.filter((path: string) => path.startsWith('/api'))
  expect(new Set(below)).toEqual(new Set(['/api', '/api/v1', '/apis', ...versions]))
  expect(paths).toEqual(expect.arrayContaining(['/healthz', '/openapi/v2', '/version']))
})

test('/version is one that clients can read', async () => {
  expect((await api.ask('GET', '/version')).body).toMatchObject({
    major: '1',
    minor: '34',
    gitVersion: 'v1.34.0',
  })
})
