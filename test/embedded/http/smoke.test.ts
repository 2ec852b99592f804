import { expect, test } from 'vitest'
import { openKubeApi } from '../../helpers/kube-api.ts'

test('smoke', async () => {
  await using api = await openKubeApi()
  console.log((await api.ask('GET', '/api/v1/namespaces')).text)
  console.log(await api.ask('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'a' }, data: { a: 1, b: 'x' }, foo: 1 } }))
  console.log(await api.ask('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'a' }, data: { b: 'x' }, foo: 1 } }))
  console.log(await api.ask('GET', '/api/v1/namespaces/default/configmaps', { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } }))
  console.log((await api.ask('GET', '/')).text)
  console.log((await api.ask('GET', '/apis', { headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' } })).text.slice(0, 500))
  console.log((await api.ask('GET', '/openapi/v3')).text.slice(0, 1500))
  expect(1).toBe(1)
})
