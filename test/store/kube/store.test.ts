import { expect, test } from 'vitest'
import { CLUSTER_ROLES, NODES, VMIS, VMS } from '../../../src/kinds/table.ts'
import { openKubeClient } from '../../../src/kube/client.ts'
import { openKubeStore } from '../../../src/store/kube/store.ts'
import { failure, json, startApi, type Answer } from '../../kube/api-server.ts'

async function open(answer: Answer) {
  const api = await startApi(answer)
  const client = openKubeClient({
    server: api.url,
    namespace: 'default',
    tls: { ca: api.ca },
    token: async () => undefined,
  })
  const stack = new AsyncDisposableStack()
  stack.use(api)
  stack.use(client)
  return { api, store: openKubeStore(client), stack }
}

const META = { name: 'a', namespace: 'dev', uid: 'u', resourceVersion: '7', creationTimestamp: 't' }
const vm = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: META,
  spec: { template: { spec: { domain: { devices: {} } } } },
}
const VM_PATH = '/apis/kubevirt.io/v1/namespaces/dev/virtualmachines'

test('each operation is the call that the Kubernetes API wants', async () => {
  const { api, store, stack } = await open((_seen, response) => json(response, 200, vm))
  await using _stack = stack
  expect(await store.get(VMS, 'dev', 'a')).toEqual(vm)
  await store.create(VMS, { ...vm, metadata: { name: 'a', namespace: 'dev' } }, { dryRun: true })
  await store.update(VMS, vm, { subresource: 'status' })
  await store.patch(VMS, 'dev', 'a', { type: 'json', operations: [{ op: 'remove', path: '/spec' }] })
  await store.patch(VMS, 'dev', 'a', { type: 'merge', body: { spec: null } }, { subresource: 'status' })
  await store.delete(VMS, 'dev', 'a', { dryRun: true, preconditions: { uid: 'u' }, gracePeriodSeconds: 0 })
  await store.get(CLUSTER_ROLES, '', 'system:x')
  await store.get(NODES, '', 'n')
  const calls = api.seen.map(({ method, path, query, headers, body }) => [
    method,
    path,
    query,
    headers['content-type'],
    body === '' ? undefined : JSON.parse(body),
  ])
  expect(calls).toEqual([
    ['GET', `${VM_PATH}/a`, {}, undefined, undefined],
    [
      'POST',
      VM_PATH,
      { dryRun: 'All' },
      'application/json',
      { ...vm, metadata: { name: 'a', namespace: 'dev' } },
    ],
    ['PUT', `${VM_PATH}/a/status`, {}, 'application/json', vm],
    ['PATCH', `${VM_PATH}/a`, {}, 'application/json-patch+json', [{ op: 'remove', path: '/spec' }]],
    ['PATCH', `${VM_PATH}/a/status`, {}, 'application/merge-patch+json', { spec: null }],
    [
      'DELETE',
      `${VM_PATH}/a`,
      {},
      'application/json',
      {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        dryRun: ['All'],
        preconditions: { uid: 'u' },
        gracePeriodSeconds: 0,
      },
    ],
    ['GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Ax', {}, undefined, undefined],
    ['GET', '/api/v1/nodes/n', {}, undefined, undefined],
  ])
})

test('what is not there is undefined; a kind the server does not know is an error', async () => {
  let details: object = { name: 'a', kind: 'virtualmachines' }
  const { store, stack } = await open((_seen, response) =>
    json(response, 404, failure(404, 'NotFound', 'not found', details)),
  )
  await using _stack = stack
  expect(await store.get(VMS, 'dev', 'a')).toBeUndefined()
  details = {}
  await expect(store.get(VMS, 'dev', 'a')).rejects.toMatchObject({ code: 404 })
})

test('an object without a name is never asked for: that would be all of them', async () => {
  const { api, store, stack } = await open((_seen, response) => json(response, 200, {}))
  await using _stack = stack
  await expect(store.delete(VMS, 'dev', '')).rejects.toThrow(RangeError)
  await expect(store.delete(VMS, '', 'a')).rejects.toThrow(RangeError)
  expect(api.seen).toEqual([])
})

const page = (names: string[], next?: string) => ({
  metadata: { resourceVersion: '9', ...(next && { continue: next }) },
  items: names.map((name) => ({ metadata: { ...META, name } })),
})

test('a list is fetched in pages and its items carry their type', async () => {
  const { api, store, stack } = await open(({ query }, response) =>
    json(response, 200, query.continue ? page(['c']) : page(['a', 'b'], 'token')),
  )
  await using _stack = stack
  const list = await store.list(VMIS, { namespace: 'dev', labelSelector: 'a=b' })
  expect(list.resourceVersion).toBe('9')
  expect(list.items.map(({ kind, apiVersion, metadata }) => [apiVersion, kind, metadata.name])).toEqual(
    ['a', 'b', 'c'].map((name) => ['kubevirt.io/v1', 'VirtualMachineInstance', name]),
  )
  expect(api.seen.map(({ path, query }) => [path, query])).toEqual([
    ['/apis/kubevirt.io/v1/namespaces/dev/virtualmachineinstances', { limit: '500', labelSelector: 'a=b' }],
    [
      '/apis/kubevirt.io/v1/namespaces/dev/virtualmachineinstances',
      { limit: '500', continue: 'token', labelSelector: 'a=b' },
    ],
  ])
})

test('a list whose moment is forgotten between two pages is fetched as a whole', async () => {
  const { store, stack } = await open(({ query }, response) => {
    if (query.continue) return json(response, 410, failure(410, 'Expired', 'too old'))
    json(response, 200, query.limit ? page(['a'], 'token') : page(['a', 'b']))
  })
  await using _stack = stack
  expect((await store.list(VMS)).items).toHaveLength(2)
})

const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`

async function watchOnce(answer: Answer, signal = new AbortController().signal) {
  const { api, store, stack } = await open(answer)
  await using _stack = stack
  const events: string[] = []
  for await (const { type, object } of store.watch(VMS, '7', { namespace: 'dev' }, signal)) {
    events.push(`${type} ${object.metadata.resourceVersion}`)
  }
  return { events, seen: api.seen }
}

test('a watch goes on from a version and ends when the server ends it', async () => {
  const { events, seen } = await watchOnce((_seen, response) => {
    response.writeHead(200)
    response.write(line('MODIFIED', { metadata: { ...META, resourceVersion: '8' } }))
    response.end(line('BOOKMARK', { metadata: { resourceVersion: '9' } }))
  })
  expect(events).toEqual(['MODIFIED 8', 'BOOKMARK 9'])
  expect(seen[0]?.query).toMatchObject({ watch: 'true', resourceVersion: '7', allowWatchBookmarks: 'true' })
})

test('a connection that breaks ends the watch without an error', async () => {
  const { events } = await watchOnce((_seen, response) => {
    response.writeHead(200)
    response.write(line('ADDED', { metadata: META }))
    response.write('{"type":"MODI')
    setTimeout(() => (response.stream?.session ?? response.socket)?.destroy(), 20)
  })
  expect(events).toEqual(['ADDED 7'])
})

test('an abort ends the watch without an error', async () => {
  const stop = new AbortController()
  const { events } = await watchOnce((_seen, response) => {
    response.writeHead(200)
    response.write(line('ADDED', { metadata: META }))
    setTimeout(() => stop.abort(), 20)
  }, stop.signal)
  expect(events).toEqual(['ADDED 7'])
})

test('an error within the watch is thrown', async () => {
  await expect(
    watchOnce((_seen, response) => {
      response.end(line('ERROR', failure(410, 'Expired', 'too old resource version')))
    }),
  ).rejects.toMatchObject({ code: 410, reason: 'Expired' })
})
