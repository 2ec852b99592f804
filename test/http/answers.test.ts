import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ServerOptions } from '../../src/http/server.ts'
import { conflict } from '../../src/lib/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import type { Action, Call, Content, Download, Query } from '../../src/subresources/subresource.ts'
import { ALICE, apiOf, BASE, type TestApi } from '../helpers/api.ts'
import { serveStreams, until, VMI_PATH, type StreamServer } from '../helpers/stream-server.ts'

function api(subresource: Action | Query | Download, options: Partial<ServerOptions> = {}): TestApi['app'] {
  const made = apiOf({}, { subresources: [subresource], ...options })
  onTestFinished(() => made.app.close())
  return made.app
}

function queryOf(run: (call: Call) => Promise<object>, more: Partial<Query> = {}): Query {
  return {
    type: 'query',
    resource: VMIS,
    name: 'question',
    method: 'GET',
    verb: 'get',
    kind: 'Answer',
    description: '',
    run,
    ...more,
  }
}

describe('a query', () => {
  const url = `${VMI_PATH}/question`

  test.each([
    [undefined, 200],
    ['application/json', 200],
    ['application/json, */*', 200],
    ['*/*', 200],
    ['application/*;q=0.5', 200],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 200],
    ['application/yaml', 406],
    ['application/vnd.kubernetes.protobuf', 406],
    ['text/html', 406],
  ])('with Accept %s is answered %i', async (accept, code) => {
    const app = api(queryOf(async () => ({ a: 1 })))
    const response = await app.inject({ url, headers: { ...ALICE, ...(accept !== undefined && { accept }) } })
    expect(response.statusCode).toBe(code)
    expect(response.headers['content-type']).toBe('application/json')
    expect(response.json()).toMatchObject(
      code === 200 ? { a: 1 } : { kind: 'Status', reason: 'NotAcceptable' },
    )
  })

  test('reads a body where it has options, and only there', async () => {
    const echo = async ({ body }: Call) => ({ body: body.toString() })
    const payload = '{"includeOptionalNodes":false}'
    const withOptions = api(queryOf(echo, { fields: { includeOptionalNodes: 'boolean' } }))
    const read = await withOptions.inject({ url, headers: ALICE, payload })
    expect(read.json()).toEqual({ body: payload })
    const without = await withOptions.inject({ url, headers: ALICE })
    expect(without.json()).toEqual({ body: '' })
    const ignored = await api(queryOf(echo)).inject({ url, headers: ALICE, payload })
    expect(ignored.json()).toEqual({ body: '' })
  })

  test('with a body that is too large is 413', async () => {
    const app = api(queryOf(async () => ({}), { fields: { a: 'string' } }))
    const response = await app.inject({ url, headers: ALICE, payload: Buffer.alloc(300 * 1024) })
    expect(response.json()).toMatchObject({ kind: 'Status', code: 413 })
  })

  test('reads its body over a socket, too', async () => {
    const echo = async ({ body }: Call) => ({ body: body.toString() })
    const server = await serveStreams([queryOf(echo, { fields: { a: 'string' } })])
    const headers = { ...ALICE, 'content-length': '9' }
    const call = request({ host: '127.0.0.1', port: server.port, path: url, headers })
    call.end('{"a":"b"}')
    const [response] = await once(call, 'response')
    expect(JSON.parse(await textOf(response))).toEqual({ body: '{"a":"b"}' })
  })

  test('gets all values of a parameter that is repeated', async () => {
    const app = api(
      queryOf(async ({ query, queryAll }) => ({
        first: query['command'],
        all: queryAll('command'),
        none: queryAll('other'),
        inherited: queryAll('constructor'),
      })),
    )
    const response = await app.inject({ url: `${url}?command=ls&command=-l&command=`, headers: ALICE })
    expect(response.json()).toEqual({ first: 'ls', all: ['ls', '-l', ''], none: [], inherited: [] })
  })
})

describe('an action', () => {
  const action: Action = {
    type: 'action',
    name: 'expand-vm-spec',
    method: 'PUT',
    verb: 'update',
    kind: VMS.kind,
    kindGroup: VMS,
    description: '',
    success: 200,
    run: async ({ namespace, name, body }) => ({ namespace, name, body: body.toString() }),
  }

  test('in the namespace itself has no name, and may answer with JSON', async () => {
    const response = await api(action).inject({
      method: 'PUT',
      url: `${BASE}/expand-vm-spec`,
      headers: { ...ALICE, 'content-type': 'application/json' },
      payload: '{"spec":{}}',
    })
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json')
    expect(response.json()).toEqual({ namespace: 'ns1', name: '', body: '{"spec":{}}' })
  })

  test('that says nothing is answered without a body and a type', async () => {
    const response = await api({ ...action, success: 202, run: async () => undefined }).inject({
      method: 'PUT',
      url: `${BASE}/expand-vm-spec`,
      headers: { ...ALICE, accept: 'application/json' },
    })
    expect([response.statusCode, response.body]).toEqual([202, ''])
    expect(response.headers['content-length']).toBe('0')
    expect(response.headers).not.toHaveProperty('content-type')
  })
})

function downloadOf(run: () => Promise<Content>, mediaType = 'image/png'): Download {
  return {
    type: 'download',
    resource: VMIS,
    name: 'bytes',
    method: 'GET',
    verb: 'get',
    kind: 'Bytes',
    description: '',
    mediaType,
    run,
  }
}

async function textOf(response: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

describe('a download', () => {
  const url = `${VMI_PATH}/bytes`

  test('has its own type, and is kept by nobody', async () => {
    const bytes = Buffer.from([0x89, 0x50, 0, 0xff])
    const response = await api(downloadOf(async () => ({ mediaType: 'image/png', body: bytes }))).inject({
      url,
      headers: ALICE,
    })
    expect(response.rawPayload.equals(bytes)).toBe(true)
    expect(response.headers).toMatchObject({
      'content-type': 'image/png',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
  })

  test.each([
    ['image/png', 200],
    ['image/*', 200],
    ['*/*', 200],
    ['application/json', 406],
  ])('with Accept %s is answered %i', async (accept, code) => {
    const app = api(downloadOf(async () => ({ mediaType: 'image/png', body: Buffer.of(1) })))
    const response = await app.inject({ url, headers: { ...ALICE, accept } })
    expect(response.statusCode).toBe(code)
  })

  test('that cannot be had is a Status', async () => {
    const refuse = () => Promise.reject(conflict({ group: 'kubevirt.io', kind: 'x' }, 'vm1', 'no'))
    const response = await api(downloadOf(refuse)).inject({ url, headers: ALICE })
    expect(response.json()).toMatchObject({ kind: 'Status', code: 409 })
  })

  async function follow(options: Partial<ServerOptions> = {}) {
    const body = new Readable({ read() {} })
    const content = async () => ({ mediaType: 'text/plain', body })
    const server: StreamServer = await serveStreams([downloadOf(content, 'text/plain')], {}, options)
    const call = request({ host: '127.0.0.1', port: server.port, path: url, headers: ALICE })
    call.on('error', () => {})
    call.end()
    body.push('first ')
    const [response] = await once(call, 'response')
    return { body, server, call, response }
  }

  test('comes as it is made, and ends when the client leaves', async () => {
    const { body, server, call, response } = await follow()
    expect(String((await once(response, 'data'))[0])).toBe('first ')
    await sleep(20)
    body.push('second')
    expect(String((await once(response, 'data'))[0])).toBe('second')
    expect(server.app.countStreams()).toEqual({ bytes: 1 })
    call.destroy()
    await until(() => body.destroyed)
    await until(() => Object.keys(server.app.countStreams()).length === 0)
    await until(() => server.log.lines.length > 0)
    // It was given what it asked for, for as long as it wanted.
    expect(server.log.lines).toMatchObject([{ text: 'action done', fields: { code: 200, user: 'alice' } }])
  })

  test('is cut off when its user may no longer see it', async () => {
    let isAllowed = true
    const timers = new Set<() => void>()
    const clock: Clock = {
      now: () => 0,
      after(_delayMs, run) {
        timers.add(run)
        return { [Symbol.dispose]: () => void timers.delete(run) }
      },
    }
    const { body, response } = await follow({
      clock,
      authorizer: { review: async () => ({ allowed: isAllowed, reason: '' }) },
    })
    response.on('error', () => {})
    const fire = () => {
      for (const run of timers) {
        timers.delete(run)
        run()
      }
    }
    fire()
    await sleep(20)
    expect(body.destroyed).toBe(false)
    isAllowed = false
    await until(() => timers.size > 0)
    fire()
    await until(() => body.destroyed)
  })
})

test('the answer to a refused handshake is short enough to be read, whatever it says', async () => {
  const long = 'ü'.repeat(3000)
  const server = await serveStreams([
    {
      ...queryOf(async () => ({})),
      type: 'stream',
      open: () => Promise.reject(conflict({ group: 'kubevirt.io', kind: 'x' }, 'n'.repeat(253), long)),
    },
  ])
  const socket = server.dial('/question')
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  const text = await textOf(response)
  expect(Buffer.byteLength(text)).toBeLessThan(1024)
  expect(JSON.parse(text)).toMatchObject({ kind: 'Status', code: 409, details: { name: 'n'.repeat(253) } })
  expect(JSON.parse(text).message).toMatch(/ü…$/)
})
