import { afterEach, expect, test } from 'vitest'
import { KUBEVIRTS } from '../../src/kinds/table.ts'
import { registerAggregatedRoot } from '../../src/http/aggregated-root.ts'
import { resourceNameOf } from '../../src/http/subresource-path.ts'
import { subresources } from '../../src/subresources/index.ts'
import type { KubeVirt } from '../../src/kinds/kubevirt.ts'
import { memoryStore } from '../helpers/memory-store.ts'
import { apiOf, memoryLog, type TestApi } from '../helpers/api.ts'

const G = '/apis/subresources.kubevirt.io'
const VERSION = {
  gitVersion: 'v1.9.0',
  gitCommit: 'abc',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

const apps: TestApi['app'][] = []
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()))
})

function serve(
  kubevirt?: KubeVirt,
  apiServerVersion: () => Promise<object> = async () => ({ gitVersion: 'v1.36.0' }),
) {
  const { app } = apiOf({})
  apps.push(app)
  registerAggregatedRoot(app, subresources, {
    store: memoryStore([KUBEVIRTS, kubevirt]).store,
    version: VERSION,
    apiServerVersion,
    log: memoryLog(),
  })
  return app
}

function kubevirtOf(status: KubeVirt['status']): KubeVirt {
  const metadata = {
    name: 'kubevirt',
    namespace: 'kubevirt',
    uid: 'k',
    resourceVersion: '1',
    creationTimestamp: '',
  }
  return { apiVersion: 'kubevirt.io/v1', kind: 'KubeVirt', metadata, ...(status && { status }) }
}

const AGGREGATED =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'

test('kube-apiserver finds every subresource with a kind and verbs in the aggregated list', async () => {
  const response = await serve().inject({ url: '/apis', headers: { accept: AGGREGATED } })
  expect(response.headers['content-type']).toBe(
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  )
  const { kind, apiVersion, items } = response.json()
  expect({ kind, apiVersion }).toEqual({
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
  })
  expect(items).toHaveLength(1)
  expect(items[0].metadata).toEqual({ name: 'subresources.kubevirt.io' })
  expect(items[0].versions.map(({ version }: { version: string }) => version)).toEqual(['v1', 'v1alpha3'])
  const [{ resources }] = items[0].versions
  const group = 'subresources.kubevirt.io'
  const found = resources.flatMap((one: Discovered) =>
    one.subresources
      ? one.subresources.map(({ subresource, responseKind, verbs }) => [
          `${one.resource}/${subresource}`,
          responseKind,
          verbs,
        ])
      : [[one.resource, one.responseKind, one.verbs]],
  )
  const wanted = subresources.map((one) => [
    resourceNameOf(one),
    { group: one.kindGroup?.group ?? group, version: one.kindGroup?.version ?? 'v1', kind: one.kind },
    [one.verb],
  ])
  expect(new Set(found)).toEqual(new Set(wanted))
  const parents = resources.filter(({ subresources: children }: Discovered) => children)
  // Of another group: without a kind and verbs only their children appear.
  expect(
    parents.map(({ resource, responseKind, verbs }: Discovered) => [resource, responseKind, verbs]),
  ).toEqual(
    ['virtualmachineinstances', 'virtualmachines'].map((resource) => [
      resource,
      { group: '', version: '', kind: '' },
      [],
    ]),
  )
})

interface Discovered {
  resource: string
  responseKind: object
  verbs: string[]
  subresources?: { subresource: string; responseKind: object; verbs: string[] }[]
}

/** Source: contract 1.4 and 1.8, with the verbs of 1.8. */
const CONTRACT = `
expand-vm-spec update
virtualmachineinstances/vnc get
virtualmachineinstances/vnc/screenshot get
virtualmachineinstances/console get
virtualmachineinstances/portforward get
virtualmachineinstances/backup update
virtualmachineinstances/redefine-checkpoint update
virtualmachineinstances/pause update
virtualmachineinstances/unpause update
virtualmachineinstances/freeze update
virtualmachineinstances/unfreeze update
virtualmachineinstances/reset update
virtualmachineinstances/softreboot update
virtualmachines/start update
virtualmachines/stop update
virtualmachines/restart update
virtualmachines/migrate update
virtualmachines/expand-spec get
virtualmachines/objectgraph get
virtualmachines/evacuate/cancel update
virtualmachineinstances/guestosinfo get
virtualmachineinstances/userlist get
virtualmachineinstances/filesystemlist get
virtualmachineinstances/addvolume update
virtualmachineinstances/removevolume update
virtualmachineinstances/objectgraph get
virtualmachineinstances/sev/fetchcertchain get
virtualmachineinstances/sev/querylaunchmeasurement get
virtualmachineinstances/sev/setupsession update
virtualmachineinstances/sev/injectlaunchsecret update
virtualmachineinstances/evacuate/cancel update
virtualmachines/portforward get
virtualmachines/addvolume update
virtualmachines/removevolume update
virtualmachines/memorydump update
virtualmachines/removememorydump update
virtualmachineinstances/usbredir get
virtualmachineinstances/vsock get`

test('all subresources of KubeVirt are listed, with their verbs', async () => {
  const { resources } = (await serve().inject({ url: `${G}/v1` })).json()
  const listed = resources.map(
    ({ name, verbs }: { name: string; verbs: string[] }) => `${name} ${verbs.join()}`,
  )
  expect(
    CONTRACT.trim()
      .split('\n')
      .filter((line) => !listed.includes(line)),
  ).toEqual([])
})

test('each path that is no object is named once', async () => {
  const { paths } = (await serve().inject({ url: '/' })).json()
  expect(new Set(paths).size).toBe(paths.length)
  expect(paths).toEqual(
    expect.arrayContaining([
      '/apis',
      G,
      `${G}/v1`,
      `${G}/v1/version`,
      `${G}/v1alpha3/guestfs`,
      '/openapi/v3',
    ]),
  )
})

test('older clients get the beta of the aggregated list, and all others the plain list of groups', async () => {
  const app = serve()
  const beta = await app.inject({
    url: '/apis',
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList' },
  })
  expect(beta.json().apiVersion).toBe('apidiscovery.k8s.io/v2beta1')
  const plain = await app.inject({ url: '/apis' })
  expect(plain.json()).toEqual({
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [
      {
        name: 'subresources.kubevirt.io',
        versions: ['v1', 'v1alpha3'].map((version) => ({
          groupVersion: `subresources.kubevirt.io/${version}`,
          version,
        })),
        preferredVersion: { groupVersion: 'subresources.kubevirt.io/v1', version: 'v1' },
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
      },
    ],
  })
})

test.each(['v1', 'v1alpha3'])('the list of %s carries kinds and verbs', async (version) => {
  const list = (await serve().inject({ url: `${G}/${version}` })).json()
  expect(list).toMatchObject({ kind: 'APIResourceList', groupVersion: `subresources.kubevirt.io/${version}` })
  expect(list.resources).toContainEqual({
    name: 'virtualmachines/start',
    singularName: '',
    namespaced: true,
    group: 'subresources.kubevirt.io',
    version,
    kind: 'StartOptions',
    verbs: ['update'],
  })
  expect(list.resources).toHaveLength(subresources.length)
})

test.each(['/apis', G, `${G}/v1`, '/openapi/v2', '/openapi/v3', `/openapi/v3${G}/v1`, '/'])(
  'who knows %s already is told so',
  async (url) => {
    const app = serve()
    const first = await app.inject({ url })
    expect(first.statusCode).toBe(200)
    const { etag } = first.headers
    const again = await app.inject({ url, headers: { 'if-none-match': String(etag) } })
    expect([again.statusCode, again.body]).toEqual([304, ''])
    const other = await app.inject({ url, headers: { 'if-none-match': '"other"' } })
    expect(other.statusCode).toBe(200)
  },
)

test('the index of OpenAPI v3 names each document by its tag', async () => {
  const app = serve()
  const { paths } = (await app.inject({ url: '/openapi/v3' })).json()
  expect(Object.keys(paths)).toEqual([
    'apis/subresources.kubevirt.io/v1',
    'apis/subresources.kubevirt.io/v1alpha3',
  ])
  for (const { serverRelativeURL } of Object.values<{ serverRelativeURL: string }>(paths)) {
    const document = await app.inject({ url: serverRelativeURL })
    expect(`"${serverRelativeURL.split('hash=')[1]}"`).toBe(document.headers.etag)
    expect(document.json().openapi).toBe('3.0.0')
  }
})

test('OpenAPI documents say which code an action answers and what it takes', async () => {
  const app = serve()
  const v3 = (await app.inject({ url: `/openapi/v3${G}/v1` })).json()
  const path = `${G}/v1/namespaces/{namespace}/virtualmachines/{name}/start`
  expect(Object.keys(v3.paths[path].put.responses)).toContain('202')
  expect(v3.paths[path].put.responses[404].content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Status',
  })
  expect(v3.components.schemas['v1.StartOptions'].properties).toEqual({
    paused: { type: 'boolean' },
    dryRun: { type: 'array', items: { type: 'string' } },
  })
  const v2 = (await app.inject({ url: '/openapi/v2' })).json()
  expect(v2.swagger).toBe('2.0')
  expect(v2.paths[path].put.parameters.at(-1)).toEqual({
    name: 'body',
    in: 'body',
    schema: { $ref: '#/definitions/v1.StartOptions' },
  })
})

test('protobuf alone is 406 with a Status', async () => {
  const response = await serve().inject({
    url: '/openapi/v2',
    headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
  })
  expect([response.statusCode, response.json().reason]).toEqual([406, 'NotAcceptable'])
})

test('the version is what virtctl compares with its own', async () => {
  expect((await serve().inject({ url: `${G}/v1/version` })).json()).toEqual(VERSION)
})

test('a version that virtctl could not read is refused at the start', () => {
  const { app } = apiOf({})
  apps.push(app)
  const parts = {
    store: memoryStore().store,
    version: { ...VERSION, gitVersion: '1.9' },
    apiServerVersion: async () => ({}),
    log: memoryLog(),
  }
  expect(() => registerAggregatedRoot(app, subresources, parts)).toThrow(RangeError)
})

test('health speaks of the way to the objects', async () => {
  const app = serve(kubevirtOf({ phase: 'Deployed' }))
  for (const url of ['/healthz', `${G}/v1/healthz`]) {
    const response = await app.inject({ url })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      apiserver: { connectivity: 'ok', version: { gitVersion: 'v1.36.0' } },
      'config-resource-version': '101',
    })
  }
  const broken = await serve(undefined, () => Promise.reject(new Error('secret'))).inject({ url: '/healthz' })
  expect(broken.statusCode).toBe(500)
  expect(broken.json().apiserver.connectivity).toBe('failed')
  expect(broken.body).not.toContain('secret')
})

test.each([
  ['before KubeVirt is deployed', undefined, 503, { reason: 'ServiceUnavailable' }],
  ['without a phase', kubevirtOf({}), 503, { reason: 'ServiceUnavailable' }],
  [
    'with a configuration that is no JSON',
    kubevirtOf({ phase: 'Deployed', observedDeploymentConfig: '' }),
    500,
    { guestfs: { status: 'failed' } },
  ],
  [
    'once deployed',
    kubevirtOf({
      phase: 'Deployed',
      observedKubeVirtRegistry: 'r',
      observedKubeVirtVersion: 'v1',
      observedDeploymentConfig: '{"imagePrefix":"p","GsImage":"image"}',
    }),
    200,
    { registry: 'r', tag: 'v1', imagePrefix: 'p', gsImage: 'image' },
  ],
])('guestfs %s', async (_when, kubevirt, code, body) => {
  const response = await serve(kubevirt).inject({ url: `${G}/v1/guestfs` })
  expect(response.statusCode).toBe(code)
  expect(response.json()).toMatchObject(body)
})
