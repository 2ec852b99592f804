import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'

let api: TestKubeApi
beforeAll(async () => {
  api = await openKubeApi()
})
afterAll(() => api[Symbol.asyncDispose]())

const VM = '/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}'

async function document(path: string) {
  return (await api.ask('GET', `/openapi/v3/${path}`)).body
}

test('the index leads to a document for each version of each group', async () => {
  const { paths } = (await api.ask('GET', '/openapi/v3')).body
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining(['api/v1', 'apis/kubevirt.io/v1', 'apis/subresources.kubevirt.io/v1alpha3']),
  )
  for (const { serverRelativeURL } of Object.values<{ serverRelativeURL: string }>(paths)) {
    const answer = await api.ask('GET', serverRelativeURL)
    expect(answer).toMatchObject({ code: 200, body: { openapi: '3.0.0' } })
    expect(serverRelativeURL).toContain(String(answer.headers['etag']).replaceAll('"', ''))
  }
})

test('every reference in a document leads somewhere', async () => {
  for (const path of ['api/v1', 'apis/kubevirt.io/v1', 'apis/pool.kubevirt.io/v1beta1']) {
    const { components, paths } = await document(path)
    const refs = JSON.stringify([components, paths]).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)
    const missing = [...refs].map(([, name = '']) => name).filter((name) => !components.schemas[name])
    expect(missing).toEqual([])
  }
})

test('writes take what kubectl looks for before it leaves validation to the server', async () => {
  const { paths } = await document('apis/kubevirt.io/v1')
  expect(paths[VM].patch).toMatchObject({
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachine' },
  })
  for (const method of ['put', 'patch']) {
    const names = paths[VM][method].parameters.map(({ name }: { name: string }) => name)
    expect(names).toEqual(['dryRun', 'fieldManager', 'fieldValidation'])
  }
})

test('only kinds of Kubernetes itself take strategic merge patches', async () => {
  const strategic = 'application/strategic-merge-patch+json'
  const custom = await document('apis/kubevirt.io/v1')
  expect(Object.keys(custom.paths[VM].patch.requestBody.content)).not.toContain(strategic)
  const core = await document('api/v1')
  const patch = core.paths['/api/v1/namespaces/{namespace}/secrets/{name}'].patch
  expect(Object.keys(patch.requestBody.content)).toContain(strategic)
})

test('lists say how they are merged', async () => {
  const { components } = await document('api/v1')
  const account = components.schemas['io.k8s.api.core.v1.ServiceAccount'].properties
  expect(account.imagePullSecrets).toMatchObject({
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  })
  const metadata = components.schemas['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'].properties
  expect(metadata.finalizers['x-kubernetes-patch-strategy']).toBe('merge')
})

test('kinds say which they are, and what they mean', async () => {
  const { components } = await document('apis/kubevirt.io/v1')
  expect(components.schemas['v1.VirtualMachine']['x-kubernetes-group-version-kind']).toEqual([
    { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachine' },
  ])
  expect(components.schemas['v1.VirtualMachineSpec'].properties.runStrategy.description).toContain('Halted')
})

test('version 2 has the definitions', async () => {
  const { body } = await api.ask('GET', '/openapi/v2')
  expect(body.swagger).toBe('2.0')
  expect(body.definitions['v1.VirtualMachine'].properties.spec.$ref).toBe(
    '#/definitions/v1.VirtualMachineSpec',
  )
  expect(JSON.stringify(body)).not.toContain('#/components/')
})

test('version 2 as protobuf holds what kubectl needs to leave validation to the server', async () => {
  const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
  const answer = await api.ask('GET', '/openapi/v2', { headers: { accept } })
  expect(answer).toMatchObject({ code: 200, headers: { 'content-type': accept.replace('@', '.') } })
  expect(answer.text).toBe('\n\u00032.0\u0012\u0015\n\nKubernetes\u0012\u0007v1.34.0B\u0000')
  const other = 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf'
  expect(await api.ask('GET', '/openapi/v2', { headers: { accept: other } })).toMatchObject({ code: 406 })
  expect(await api.ask('GET', '/openapi/v3', { headers: { accept: other } })).toMatchObject({ code: 406 })
})
