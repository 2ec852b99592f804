/** The subresource group as embedded mode serves it: beside the Kubernetes API, over TLS, with RBAC. */
import { once } from 'node:events'
import supertest from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { resourceNameOf } from '../../src/http/subresource-path.ts'
import { subresources } from '../../src/subresources/index.ts'
import { memoryLog } from '../helpers/api.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'

const audit = memoryLog()
let server: ObjectServer
beforeAll(async () => {
  server = await openObjectServer({ audit })
})
afterAll(() => server[Symbol.asyncDispose]())

type Agent = ReturnType<ReturnType<typeof supertest>['get']>
const asAdmin = (request: Agent): Agent => {
  const { ca, admin } = server.certificates.current()
  return request.ca(ca).cert(admin.cert).key(admin.key)
}
const get = (path: string) => asAdmin(supertest(server.url).get(path))
const G = '/apis/subresources.kubevirt.io'

interface Discovered {
  resource: string
  verbs: string[]
  responseKind: { group: string; version: string; kind: string } | null
  subresources?: { subresource: string; verbs: string[]; responseKind: { kind: string } }[]
}

test('aggregated discovery has every subresource with a kind and a verb', async () => {
  const { body } = await get('/apis').set(
    'accept',
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  )
  const group = body.items.find((item: { metadata: { name: string } }) =>
    item.metadata.name.startsWith('sub'),
  )
  const found: string[] = group.versions.flatMap(
    ({ version, resources }: { version: string; resources: Discovered[] }) =>
      resources.flatMap(({ resource, verbs, responseKind, subresources: below = [] }) => [
        ...(verbs.length > 0 ? [`${version} ${resource} ${verbs.join()} ${responseKind?.kind}`] : []),
        ...below.map(
          (one) => `${version} ${resource}/${one.subresource} ${one.verbs.join()} ${one.responseKind.kind}`,
        ),
      ]),
  )
  const wanted = ['v1', 'v1alpha3'].flatMap((version) =>
    subresources.map((one) => `${version} ${resourceNameOf(one)} ${one.verb} ${one.kind}`),
  )
  expect(found.toSorted()).toEqual(wanted.toSorted())
})

test('the root names the group and what stands beside it, each once', async () => {
  const { body } = await get('/')
  expect(body.paths).toEqual(expect.arrayContaining(['/start-profiler', G, `${G}/v1`, `${G}/v1alpha3`]))
  expect(new Set(body.paths).size).toBe(body.paths.length)
})

test('documents have tags, and are not sent twice', async () => {
  for (const path of [`${G}/v1`, G, `/openapi/v3${G}/v1`]) {
    const { headers } = await get(path)
    const again = await get(path).set('if-none-match', String(headers['etag']))
    expect([path, again.status]).toEqual([path, 304])
  }
})

test('the profiler is for administrators, and off', async () => {
  const { ca } = server.certificates.current()
  const nobody = await supertest(server.url).get('/dump-profiler').ca(ca)
  const { status, body } = await get('/dump-profiler')
  expect([nobody.status, status, body.message]).toEqual([
    401,
    403,
    expect.stringContaining('profiling is off'),
  ])
})

test('what an administrator does is in the audit log', async () => {
  audit.lines.length = 0
  await asAdmin(supertest(server.url).put(`${G}/v1/namespaces/default/virtualmachines/absent/start`))
  expect(audit.lines).toMatchObject([
    {
      text: 'action refused',
      fields: { code: 404, reason: 'NotFound', groups: expect.arrayContaining(['system:masters']) },
    },
  ])
})

test('a wrong ticket opens nothing, whatever certificate is shown with it', async () => {
  const { ca, admin } = server.certificates.current()
  const path = `${G}/v1/namespaces/default/virtualmachineinstances/x/console?ticket=wrong`
  const socket = new WebSocket(server.url.replace('https', 'wss') + path, { ca, ...admin })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  expect(response.statusCode).toBe(401)
})
