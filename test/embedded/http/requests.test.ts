import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeApi, type TestKubeApi } from '../../helpers/kube-api.ts'
import { bytes, envelope, integer } from '../protobuf/writer.ts'

const MAPS = '/api/v1/namespaces/default/configmaps'
const YAML = { 'content-type': 'application/yaml' }

let api: TestKubeApi
beforeAll(async () => {
  api = await openKubeApi()
})
afterAll(() => api[Symbol.asyncDispose]())

test.each([
  ['limit', '-1'],
  ['limit', 'x'],
  ['limit', '1.5'],
  ['resourceVersion', 'abc'],
  ['resourceVersionMatch', 'Newest'],
  ['resourceVersionMatch', 'Exact'],
  ['sendInitialEvents', 'true'],
  ['labelSelector', 'a in'],
  ['fieldSelector', 'spec.nothing=1'],
  ['continue', 'nonsense'],
  ['watch', 'maybe'],
  ['includeObject', 'Everything'],
])('a list with %s=%s is refused', async (name, value) => {
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  const answer = await api.ask('GET', `${MAPS}?${name}=${encodeURIComponent(value)}`, { headers })
  expect(answer).toMatchObject({ code: 400, body: { kind: 'Status', reason: 'BadRequest' } })
  expect(answer.body.message).not.toBe('')
})

test.each([
  ['timeoutSeconds', 'soon'],
  ['allowWatchBookmarks', 'x'],
  ['sendInitialEvents', 'true'],
  ['resourceVersionMatch', 'NotOlderThan'],
])('a watch with %s=%s is refused', async (name, value) => {
  expect(await api.ask('GET', `${MAPS}?watch=true&${name}=${value}`)).toMatchObject({ code: 400 })
})

test.each([
  ['POST', 'dryRun=Some'],
  ['POST', 'fieldValidation=Maybe'],
  ['POST', `fieldManager=${'a'.repeat(129)}`],
  ['POST', 'fieldManager=%07'],
  ['DELETE', 'gracePeriodSeconds=-1'],
  ['DELETE', 'propagationPolicy=None'],
  ['DELETE', 'propagationPolicy=Orphan&orphanDependents=true'],
  ['DELETE', 'orphanDependents=perhaps'],
])('%s with %s is refused', async (method, query) => {
  await api.ask('POST', MAPS, { body: { metadata: { name: 'kept' } } })
  const [url, body] = method === 'POST' ? [MAPS, { metadata: { name: 'new' } }] : [`${MAPS}/kept`, undefined]
  expect(await api.ask(method, `${url}?${query}`, { body })).toMatchObject({ code: 400 })
  expect(await api.ask('GET', `${MAPS}/kept`)).toMatchObject({ code: 200 })
  expect(await api.ask('GET', `${MAPS}/new`)).toMatchObject({ code: 404 })
})

test.each([
  ['another kind', { kind: 'Secret', metadata: { name: 'a' } }, 'the kind in the data'],
  ['another version', { apiVersion: 'v2', metadata: { name: 'a' } }, 'the API version in the data'],
  ['another namespace', { metadata: { name: 'a', namespace: 'other' } }, 'namespace'],
  ['a list', [], 'must be an object'],
  ['nothing', '', 'no body'],
  ['half an object', '{"metadata":', 'not valid JSON'],
  ['too many levels', `${'['.repeat(600)}${']'.repeat(600)}`, 'levels deep'],
])('a body with %s is refused', async (_what, body, words) => {
  const answer = await api.ask('POST', MAPS, { body, headers: { 'content-type': 'application/json' } })
  expect(answer).toMatchObject({ code: 400, body: { reason: 'BadRequest' } })
  expect(answer.body.message).toContain(words)
})

test('the name in the body has to be the one in the path', async () => {
  const { body } = await api.ask('POST', MAPS, { body: { metadata: { name: 'other' } } })
  const answer = await api.ask('PUT', `${MAPS}/b`, { body })
  expect(answer).toMatchObject({ code: 400 })
  expect(answer.body.message).toContain('does not match the name on the URL (b)')
})

test('bodies may be YAML, and answers are where that is asked for', async () => {
  const body = 'metadata:\n  name: written-in-yaml\ndata:\n  b: "1"\n'
  const created = await api.ask('POST', MAPS, { body, headers: { ...YAML, accept: 'application/yaml' } })
  expect(created.code).toBe(201)
  expect(created.headers['content-type']).toBe('application/yaml')
  expect(created.text).toMatch(/^data:\n {2}b: "1"$/m)
})

test.each([
  ['broken', 'a: [', 'not valid YAML'],
  ['nested without end', '- '.repeat(20_000), 'not valid YAML'],
  ['a bomb', `a: &a [x,x]\n${bomb()}`, 'not valid YAML'],
])('YAML that is %s is refused', async (_what, body, words) => {
  const answer = await api.ask('POST', MAPS, { body, headers: YAML })
  expect(answer).toMatchObject({ code: 400 })
  expect(answer.body.message).toContain(words)
})

/** Each line holds the one before ten times. */
function bomb(): string {
  const names = 'abcdefghij'.split('')
  const lines = names
    .slice(1)
    .map((name, index) => `${name}: &${name} [${Array(10).fill(`*${names[index]}`).join()}]`)
  return lines.join('\n')
}

test('a body without a media type is JSON', async () => {
  const { code } = await api.ask('POST', MAPS, { body: '{"metadata":{"name":"bare"}}' })
  expect(code).toBe(201)
})

test.each(['application/xml', 'application/cbor', 'text/plain'])('a body of %s is refused', async (type) => {
  const answer = await api.ask('POST', MAPS, { body: '{}', headers: { 'content-type': type } })
  expect(answer).toMatchObject({ code: 415, body: { reason: 'UnsupportedMediaType' } })
})

test('a body of more than three megabytes is refused', async () => {
  const body = { metadata: { name: 'a' }, data: { a: 'x'.repeat(3 * 1024 * 1024) } }
  expect(await api.ask('POST', MAPS, { body })).toMatchObject({
    code: 413,
    body: { kind: 'Status', reason: 'RequestEntityTooLarge' },
  })
})

test.each([
  ['DELETE', { kind: 'ConfigMap' }],
  ['DELETE', { orphanDependents: 'yes' }],
  ['DELETE', { preconditions: { uid: 1 } }],
  ['DELETE', { gracePeriodSeconds: 'x' }],
  ['DELETE', '{"gracePeriodSeconds": 9223372036854775807}'],
  ['DELETE', { dryRun: ['Some'] }],
])('%s with the options %j is refused', async (method, body) => {
  await api.ask('POST', MAPS, { body: { metadata: { name: 'a' } } })
  const headers = { 'content-type': 'application/json' }
  expect(await api.ask(method, `${MAPS}/a`, { body, headers })).toMatchObject({ code: 400 })
})

test.each(['9007199254740993', '9223372036854775807', '-9223372036854775808'])(
  'J2: %s in protobuf is stored and shown as it is',
  async (number) => {
    const path = '/apis/apps/v1/namespaces/default/controllerrevisions'
    const metadata = bytes(1, bytes(1, `large${number}`))
    const payload = envelope('apps/v1', 'ControllerRevision', metadata, integer(3, BigInt(number)))
    const authorization = 'Bearer admin'
    const headers = { authorization, 'content-type': 'application/vnd.kubernetes.protobuf' }
    const created = await api.app.inject({ method: 'POST', url: path, headers, payload })
    expect([created.statusCode, created.body]).toEqual([201, expect.stringContaining(`"revision":${number}`)])
    expect((await api.ask('GET', `${path}/large${number}`)).text).toContain(`"revision":${number}`)
  },
)
