import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { badRequest, notFound, serviceUnavailable } from '../../src/lib/errors.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { ALICE, apiOf, BASE, vmiOf } from '../helpers/api.ts'

const URL = `${BASE}/virtualmachineinstances/vm1/console/log`
const about = { group: '', kind: 'guest' }

const get = (setup: Parameters<typeof apiOf>[0], query = '') =>
  apiOf(setup).app.inject({ method: 'GET', url: URL + query, headers: ALICE })

function logging(text = 'Hello\r\n'): { asked: unknown[]; node: Partial<Actions> } {
  const asked: unknown[] = []
  return {
    asked,
    node: {
      consoleLog: async ({ uid }, options) => {
        asked.push([uid, options])
        return Duplex.from([Buffer.from(text)])
      },
    },
  }
}

const PLAIN = { follow: false, timestamps: false }

test.each([
  ['', PLAIN],
  ['?tailLines=0', { ...PLAIN, tailLines: 0 }],
  ['?tailLines=100&limitBytes=5', { ...PLAIN, tailLines: 100, limitBytes: 5 }],
  ['?follow=true&timestamps=true', { follow: true, timestamps: true }],
  ['?follow&timestamps=false', { follow: true, timestamps: false }],
  ['?sinceTime=2026-01-01T00:00:00Z', { ...PLAIN, sinceTime: '2026-01-01T00:00:00.000Z' }],
  ['?sinceTime=2026-01-01T02:00:00.5%2B02:00', { ...PLAIN, sinceTime: '2026-01-01T00:00:00.500Z' }],
])('console/log%s is asked of the node, and sent as text', async (query, options) => {
  const { asked, node } = logging()
  const response = await get({ vmi: vmiOf(), node }, query)
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(response.headers['cache-control']).toContain('no-store')
  expect(response.body).toBe('Hello\r\n')
  expect(asked).toEqual([['u1', options]])
})

test('sinceSeconds is a time', async () => {
  const { asked, node } = logging()
  await get({ vmi: vmiOf(), node }, '?sinceSeconds=60')
  const [[, { sinceTime }]] = asked as [[string, { sinceTime: string }]]
  expect(Math.abs(Date.parse(sinceTime) - (Date.now() - 60_000))).toBeLessThan(5_000)
})

test.each([
  ['tailLines', '-1'],
  ['tailLines', 'many'],
  ['tailLines', '1.5'],
  ['tailLines', ''],
  ['limitBytes', '0'],
  ['limitBytes', '99999999999999999999'],
  ['sinceSeconds', '0'],
  ['sinceTime', 'yesterday'],
  ['sinceTime', '2026-13-01T00:00:00Z'],
  ['sinceTime', '2026-01-01'],
  ['follow', 'maybe'],
  ['timestamps', '2'],
])('console/log?%s=%s is 400 and names the parameter', async (name, value) => {
  const { asked, node } = logging()
  const response = await get({ vmi: vmiOf(), node }, `?${name}=${value}`)
  expect(response.json()).toMatchObject({
    kind: 'Status',
    code: 400,
    details: { causes: [{ reason: 'FieldValueInvalid', field: name }] },
  })
  expect(asked).toEqual([])
})

test('sinceTime and sinceSeconds together are 400', async () => {
  const response = await get({ vmi: vmiOf(), node: {} }, '?sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z')
  expect(response.json()).toMatchObject({ code: 400, details: { causes: [{ field: 'sinceTime' }] } })
})

test.each([
  ['absent', undefined, 404],
  ['waiting to start', vmiOf('Pending', { status: { nodeName: undefined } }), 400],
  ['running', vmiOf(), 200],
  ['starting', vmiOf('Scheduled'), 200],
  ['over', vmiOf('Succeeded'), 200],
  ['failed', vmiOf('Failed'), 200],
  [
    'without a serial port',
    vmiOf('Running', { spec: { domain: { devices: { autoattachSerialConsole: false } } } }),
    400,
  ],
  ['not to be logged', vmiOf('Running', { spec: { domain: { devices: { logSerialConsole: false } } } }), 400],
])('console/log of a guest that is %s', async (_state, vmi, code) => {
  const { node } = logging()
  expect((await get({ vmi, node })).statusCode).toBe(code)
})

test.each([
  ['that nothing is kept', badRequest('logSerialConsole is false'), 400],
  ['that it does not have the guest any more', notFound(about, 'vm1'), 404],
  ['that it is not ready', serviceUnavailable('QEMU does not answer'), 503],
])('a node that says %s', async (_what, error, code) => {
  const response = await get({ vmi: vmiOf(), node: { consoleLog: () => Promise.reject(error) } })
  expect(response.json()).toMatchObject({ kind: 'Status', code })
})
