import { expect, test } from 'vitest'
import { createAuthority } from '../../certs/issue.ts'
import { ApiUnreachable, openKubeClient } from '../../src/kube/client.ts'
import { failure, json, startApi, type Answer, type ApiServer } from './api-server.ts'

async function open(answer: Answer, tls: object = {}) {
  const api = await startApi(answer)
  return { api, client: clientOf(api, tls) }
}

function clientOf(api: ApiServer, tls: object = {}, token?: string) {
  return openKubeClient({
    server: api.url,
    namespace: 'default',
    tls: { ca: api.ca, ...tls },
    token: async () => token,
  })
}

test('a call shows the client certificate, sends JSON and gives the answer', async () => {
  const { api, client } = await open((_seen, response) => json(response, 201, { made: true }))
  await using _api = api
  await using named = clientOf(api, api.client, 'secret')
  expect(
    await named.call({
      method: 'POST',
      path: '/api/v1/things',
      query: { a: 'x y', b: undefined },
      body: { n: 1 },
    }),
  ).toEqual({ made: true })
  expect(api.seen).toMatchObject([
    {
      method: 'POST',
      path: '/api/v1/things',
      query: { a: 'x y' },
      body: '{"n":1}',
      client: 'jane',
      version: '1.1',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
    },
  ])
  await client[Symbol.asyncDispose]()
})

test('calls one after the other share connections', async () => {
  const ports = new Set<unknown>()
  const { api, client } = await open((_seen, response) => {
    ports.add(response.req.socket.remotePort)
    json(response, 200, {})
  })
  await using _api = api
  await using _client = client
  for (let i = 0; i < 10; i += 1) await client.call({ method: 'GET', path: '/x' })
  // undici opens a second one where the first has not been given back yet.
  expect(ports.size).toBeLessThanOrEqual(2)
})

test.each([
  [
    404,
    JSON.stringify(failure(404, 'NotFound', 'vms "a" not found', { name: 'a' })),
    'NotFound',
    'vms "a" not found',
  ],
  [502, 'bad gateway\n', 'Unknown', 'bad gateway'],
  [500, '', 'Unknown', 'the server answered 500'],
  [302, '', 'Unknown', 'the server answered 302'],
])('%i is thrown with what the server says', async (code, body, reason, message) => {
  const { api, client } = await open((_seen, response) => {
    response.writeHead(code, { location: 'https://elsewhere.example' })
    response.end(body)
  })
  await using _api = api
  await using _client = client
  await expect(client.call({ method: 'GET', path: '/x' })).rejects.toMatchObject({ code, reason, message })
})

test('429 is tried again after the time the server names', async () => {
  const times: number[] = []
  const { api, client } = await open((_seen, response) => {
    times.push(Date.now())
    if (times.length > 1) return json(response, 200, { done: true })
    json(response, 429, failure(429, 'TooManyRequests', 'slow down'), { 'retry-after': '1' })
  })
  await using _api = api
  await using _client = client
  expect(await client.call({ method: 'GET', path: '/x' })).toEqual({ done: true })
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(900)
})

test('an abort ends the wait after a 429', async () => {
  const { api, client } = await open((_seen, response) => {
    json(response, 429, failure(429, 'TooManyRequests', 'slow down'), { 'retry-after': '30' })
  })
  await using _api = api
  await using _client = client
  const gone = new AbortController()
  const call = client.call({ method: 'GET', path: '/x', signal: gone.signal })
  await expect.poll(() => api.seen.length).toBe(1)
  gone.abort()
  await expect(call).rejects.toThrow(/abort/i)
})

test('lines are given as they come; the last half one is dropped', async () => {
  const { api, client } = await open((_seen, response) => {
    response.writeHead(200)
    const bytes = Buffer.from('{"a":"ü"}\n\n{"b":1}\n{"c"')
    // In the middle of the ü.
    response.write(bytes.subarray(0, 7))
    setTimeout(() => response.end(bytes.subarray(7)), 20)
  })
  await using _api = api
  await using _client = client
  const lines: string[] = []
  for await (const line of client.lines({ method: 'GET', path: '/x' })) lines.push(line)
  expect(lines).toEqual(['{"a":"ü"}', '{"b":1}'])
})

test('a refusal of a stream of lines is thrown', async () => {
  const { api, client } = await open((_seen, response) =>
    json(response, 410, failure(410, 'Expired', 'too old')),
  )
  await using _api = api
  await using _client = client
  const lines = client.lines({ method: 'GET', path: '/x' })[Symbol.asyncIterator]()
  await expect(lines.next()).rejects.toMatchObject({ code: 410, reason: 'Expired' })
})

test('a server of another authority, or of another name, is not spoken to', async () => {
  const stranger = await createAuthority({ commonName: 'api-ca', now: new Date(), days: 1 })
  const { api, client } = await open((_seen, response) => json(response, 200, {}), { ca: stranger.cert })
  await using _api = api
  await using _client = client
  await using misnamed = clientOf(api, { servername: 'other.test' })
  await using named = clientOf(api, { servername: 'api.test' })
  await expect(client.call({ method: 'GET', path: '/x' })).rejects.toThrow(ApiUnreachable)
  await expect(misnamed.call({ method: 'GET', path: '/x' })).rejects.toThrow(/altnames|does not match/)
  expect(await named.call({ method: 'GET', path: '/x' })).toEqual({})
  expect(api.seen).toHaveLength(1)
})

test('where nobody listens, the message says where and what to look at', async () => {
  const { api } = await open(() => {})
  await api[Symbol.asyncDispose]()
  await using client = clientOf(api)
  await expect(client.call({ method: 'GET', path: '/x' })).rejects.toThrow(
    new RegExp(`cannot reach the Kubernetes API at ${api.url}: .*ECONNREFUSED`),
  )
})

test.each<[string, Answer]>([
  ['nothing', () => {}],
  ['half an answer', (_seen, response) => void response.writeHead(200).write('{"half":')],
])('an API that says %s is given up after a while', async (_what, answer) => {
  await using api = await startApi(answer)
  const config = { server: api.url, namespace: 'default', tls: { ca: api.ca }, token: async () => undefined }
  await using client = openKubeClient(config, { answerMs: 100, silenceMs: 60_000 })
  await expect(client.call({ method: 'GET', path: '/x' })).rejects.toThrow(ApiUnreachable)
})

test('a stream that has fallen silent is given up, however it began', async () => {
  await using api = await startApi((_seen, response) => void response.writeHead(200).write('{"n":1}\n'))
  const config = { server: api.url, namespace: 'default', tls: { ca: api.ca }, token: async () => undefined }
  await using client = openKubeClient(config, { answerMs: 60_000, silenceMs: 100 })
  const seen: string[] = []
  const read = async () => {
    for await (const line of client.lines({ method: 'GET', path: '/x' })) seen.push(line)
  }
  await expect(read()).rejects.toThrow(/timeout/i)
  expect(seen).toEqual(['{"n":1}'])
})
