import { createServer } from 'node:http'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeClient } from '../../src/kube/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { templateOf, watchCalls } from '../../src/metrics/kube-calls.ts'
import { memoryLog } from '../helpers/api.ts'
import { parseExposition, readText, valueOf } from '../helpers/exposition.ts'

const VMS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const server = createServer((request, response) => {
  if (request.url?.endsWith('/lost')) return request.socket.destroy()
  response.statusCode = request.url?.includes('absent') ? 404 : 200
  return response.end('{}')
})
let url: string

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
afterAll(() => void server.close())

test.each([
  ['/api/v1/nodes', '/api/v1/nodes', 'nodes'],
  ['/api/v1/nodes/n1/status', '/api/v1/nodes/{name}/status', 'nodes'],
  ['/api/v1/namespaces/ns1', '/api/v1/namespaces/{name}', 'namespaces'],
  [`${VMS}/vm1`, '/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}', 'virtualmachines'],
  ['/version', '/version', ''],
  ['/', '/', ''],
])('%s is told as %s', (path, template, resource) => {
  expect(templateOf(path)).toMatchObject({ url: template, resource })
})

test('calls are counted by what came of them, and by no name of an object', async () => {
  const metrics = openMetrics({ clock: systemClock, log: memoryLog() })
  const config = { server: url, namespace: 'default', tls: {}, token: async () => undefined }
  await using client = openKubeClient(config, undefined, watchCalls(metrics))
  await client.call({ method: 'GET', path: `${VMS}/vm1` })
  await client.call({ method: 'GET', path: VMS })
  await client.call({ method: 'PATCH', path: `${VMS}/vm1`, body: {} })
  await client.call({ method: 'GET', path: `${VMS}/absent` }).catch(() => {})
  await client.call({ method: 'GET', path: `${VMS}/lost` }).catch(() => {})
  for await (const _line of client.lines({ method: 'GET', path: VMS, query: { watch: true } }));
  const text = await readText(metrics)
  const { samples = [] } = parseExposition(text).get('kubevirt_rest_client_requests_total') ?? {}
  const common = { host: new URL(url).host, resource: 'virtualmachines' }
  expect(samples.map(({ labels, value }) => ({ labels, value }))).toEqual(
    [
      { code: '200', method: 'GET', verb: 'get' },
      { code: '200', method: 'GET', verb: 'list' },
      { code: '200', method: 'PATCH', verb: 'patch' },
      { code: '404', method: 'GET', verb: 'get' },
      { code: '<error>', method: 'GET', verb: 'get' },
      { code: '200', method: 'GET', verb: 'watch' },
    ].map((labels) => ({ labels: { ...common, ...labels }, value: 1 })),
  )
  expect(text).not.toContain('vm1')
  const latency = 'kubevirt_rest_client_request_latency_seconds_count'
  const named = '/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}'
  expect(valueOf(text, latency, { verb: 'get', url: named })).toBe(3)
})
