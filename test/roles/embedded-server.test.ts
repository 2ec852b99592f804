import supertest from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'

let server: ObjectServer
beforeAll(async () => {
  server = await openObjectServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const anonymous = (path: string) => supertest(server.url).get(path).ca(server.certificates.current().ca)
const asAdmin = (path: string) => {
  const { cert, key } = server.certificates.current().admin
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
