import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import supertest from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCertificateStore, type CertificateStore } from '../../certs/store.ts'
import { openSchemas } from '../../src/embedded/schemas/open.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { NodeDirectory } from '../../src/rpc/nodes.ts'
import { openEmbeddedApi } from '../../src/roles/embedded-api.ts'
import { buildEmbeddedServer } from '../../src/roles/embedded-server.ts'
import { openRoleMetrics } from '../../src/roles/metrics.ts'
import { openLog } from '../../src/roles/log.ts'

const open = new AsyncDisposableStack()
const log = openLog('silent')
let certificates: CertificateStore
let url: string

beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'embedded-'))
  open.defer(() => rm(dir, { recursive: true }))
  certificates = open.use(
    await openCertificateStore({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], onError: () => {} }),
  )
  const schemas = openSchemas()
  const parts = { durability: 'normal', architecture: 'amd64', clock: systemClock, log } as const
  const embedded = open.use(await openEmbeddedApi({ file: ':memory:', shapes: schemas, ...parts }))
  const nodes = open.use(new NodeDirectory(log))
  const app = buildEmbeddedServer({
    embedded,
    nodes,
    events: { record() {} },
    certificates,
    schemas,
    metrics: openRoleMetrics(log),
    log,
  })
  open.defer(() => app.close())
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => open.disposeAsync())

const anonymous = (path: string) => supertest(url).get(path).ca(certificates.current().ca)
const asAdmin = (path: string) => {
  const { cert, key } = certificates.current().admin
  return anonymous(path).cert(cert).key(key)
}
const SUBRESOURCES = '/apis/subresources.kubevirt.io'

test.each([
  ['/healthz'],
  ['/livez'],
  ['/readyz'],
  ['/version'],
  [`${SUBRESOURCES}/v1/version`],
  [`${SUBRESOURCES}/v1/healthz`],
])('%s answers everybody', async (path) => {
  const { status } = await anonymous(path)
  expect(status).toBe(200)
})

test.each([
  ['/api/v1/secrets'],
  ['/apis/kubevirt.io/v1/namespaces/default/virtualmachines/x'],
  [`${SUBRESOURCES}/v1/namespaces/default/virtualmachineinstances/x/console`],
  ['/no/such/path'],
])('%s answers nobody without credentials', async (path) => {
  const { status, body } = await anonymous(path)
  expect(status).toBe(401)
  expect(body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Unauthorized', code: 401 })
})

test('a path that nobody serves is a 404 Status for an administrator', async () => {
  const { status, body } = await asAdmin('/no/such/path')
  expect(status).toBe(404)
  expect(body).toMatchObject({ kind: 'Status', reason: 'NotFound', code: 404 })
})

test('discovery holds the subresources beside the kinds', async () => {
  const { body } = await asAdmin('/apis')
  const groups: { name: string; preferredVersion: { version: string } }[] = body.groups
  expect(groups.map(({ name }) => name)).toContain('kubevirt.io')
  expect(groups.find(({ name }) => name === 'subresources.kubevirt.io')).toMatchObject({
    preferredVersion: { version: 'v1' },
  })
  const list = await asAdmin(`${SUBRESOURCES}/v1`)
  expect(list.body.resources).toContainEqual(
    expect.objectContaining({ name: 'virtualmachines/start', verbs: ['update'], namespaced: true }),
  )
})

test('the versions of both groups are what clients can compare', async () => {
  const kubernetes = await anonymous('/version')
  const kubevirt = await anonymous(`${SUBRESOURCES}/v1/version`)
  expect(kubernetes.body.gitVersion).toMatch(/^v1\.\d+\.\d+/)
  expect(kubevirt.body.gitVersion).toMatch(/^v1\.9\.0\+virtgate/)
})

test('OpenAPI describes the subresources, too', async () => {
  const { body } = await asAdmin(`/openapi/v3${SUBRESOURCES}/v1`)
  expect(Object.keys(body.paths)).toContain(
    `${SUBRESOURCES}/v1/namespaces/{namespace}/virtualmachines/{name}/start`,
  )
})

test('readiness names the database', async () => {
  const { text, status } = await anonymous('/readyz?verbose')
  expect(status).toBe(200)
  expect(text).toContain('[+]database ok')
})
