/** The subresource group as embedded mode serves it: beside the Kubernetes API, over TLS, with RBAC. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import supertest from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openCertificateStore, type CertificateStore } from '../../certs/store.ts'
import { openSchemas } from '../../src/embedded/schemas/open.ts'
import { resourceNameOf } from '../../src/http/subresource-path.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { NodeDirectory } from '../../src/rpc/nodes.ts'
import { openEmbeddedApi } from '../../src/roles/embedded-api.ts'
import { buildEmbeddedServer } from '../../src/roles/embedded-server.ts'
import { openRoleMetrics } from '../../src/roles/metrics.ts'
import { openLog } from '../../src/roles/log.ts'
import { subresources } from '../../src/subresources/index.ts'
import { memoryLog } from '../helpers/api.ts'

const open = new AsyncDisposableStack()
const audit = memoryLog()
let certificates: CertificateStore
let url: string

beforeAll(async () => {
  const log = openLog('silent')
  const dir = await mkdtemp(join(tmpdir(), 'embedded-'))
  open.defer(() => rm(dir, { recursive: true }))
  certificates = open.use(
    await openCertificateStore({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], onError: () => {} }),
  )
  const schemas = openSchemas()
  const parts = { durability: 'normal', architecture: 'amd64', clock: systemClock, log } as const
  const embedded = open.use(await openEmbeddedApi({ file: ':memory:', shapes: schemas, ...parts }))
  const nodes = open.use(new NodeDirectory(log))
  const events = { record() {} }
  const app = buildEmbeddedServer({
    embedded,
    nodes,
    events,
    certificates,
    schemas,
    metrics: openRoleMetrics(log),
    log,
    audit,
  })
  open.defer(() => app.close())
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => open.disposeAsync())

type Agent = ReturnType<ReturnType<typeof supertest>['get']>
const asAdmin = (request: Agent): Agent => {
  const { ca, admin } = certificates.current()
  return request.ca(ca).cert(admin.cert).key(admin.key)
}
const get = (path: string) => asAdmin(supertest(url).get(path))
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
  const { ca } = certificates.current()
  const nobody = await supertest(url).get('/dump-profiler').ca(ca)
  const { status, body } = await get('/dump-profiler')
  expect([nobody.status, status, body.message]).toEqual([
    401,
    403,
    expect.stringContaining('profiling is off'),
  ])
})

test('what an administrator does is in the audit log', async () => {
  audit.lines.length = 0
  await asAdmin(supertest(url).put(`${G}/v1/namespaces/default/virtualmachines/absent/start`))
  expect(audit.lines).toMatchObject([
    {
      text: 'action refused',
      fields: { code: 404, reason: 'NotFound', groups: expect.arrayContaining(['system:masters']) },
    },
  ])
})

test('a wrong ticket opens nothing, whatever certificate is shown with it', async () => {
  const { ca, admin } = certificates.current()
  const path = `${G}/v1/namespaces/default/virtualmachineinstances/x/console?ticket=wrong`
  const socket = new WebSocket(url.replace('https', 'wss') + path, { ca, ...admin })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  expect(response.statusCode).toBe(401)
})
