import { expect, test } from 'vitest'
import { conflict, notFound, serviceUnavailable, timeout } from '../../src/lib/errors.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { ALICE, apiOf, BASE, vmiOf } from '../helpers/api.ts'
import { PNG } from '../helpers/recording-worker.ts'

const URL = `${BASE}/virtualmachineinstances/vm1/vnc/screenshot`
const noDisplay = { spec: { domain: { devices: { autoattachGraphicsDevice: false } } } }
const about = { group: '', kind: 'guest' }

const get = (setup: Parameters<typeof apiOf>[0], query = '') =>
  apiOf(setup).app.inject({ method: 'GET', url: URL + query, headers: ALICE })

test.each([
  ['', false],
  ['?moveCursor=true', true],
  ['?moveCursor=false', false],
])('vnc/screenshot%s is the PNG of the node, kept by nobody on the way', async (query, moveCursor) => {
  const asked: unknown[] = []
  const screenshot: Actions['screenshot'] = async ({ uid }, options) => {
    asked.push([uid, options])
    return PNG
  }
  const response = await get({ vmi: vmiOf(), node: { screenshot } }, query)
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-type']).toBe('image/png')
  expect(response.headers['cache-control']).toContain('no-store')
  expect(response.rawPayload.equals(PNG)).toBe(true)
  expect(asked).toEqual([['u1', { moveCursor }]])
})

test.each([
  ['absent', undefined, 404],
  ['not running', vmiOf('Scheduled'), 409],
  ['over', vmiOf('Succeeded'), 409],
  ['without a display', vmiOf('Running', noDisplay), 400],
])('vnc/screenshot of a guest that is %s', async (_state, vmi, code) => {
  const response = await get({ vmi, node: {} })
  expect(response.statusCode).toBe(code)
  expect(response.json()).toMatchObject({ kind: 'Status', code })
})

test.each([
  ['that the guest has ended', conflict(about, 'vm1', 'it has just ended'), 409],
  ['that it does not have it', notFound(about, 'vm1'), 502],
  ['that QEMU is too slow', timeout('no answer'), 504],
  ['nothing', serviceUnavailable('unreachable'), 503],
])('a node that says %s', async (_what, error, code) => {
  const response = await get({ vmi: vmiOf(), node: { screenshot: () => Promise.reject(error) } })
  expect(response.json()).toMatchObject({ kind: 'Status', code })
})

test('no node is 503', async () => {
  expect((await get({ vmi: vmiOf() })).statusCode).toBe(503)
})
