import { expect, test } from 'vitest'
import { apiOf, put, vmiOf } from '../helpers/api.ts'

const probe = { tcpSocket: { port: 22 } }
const paused = { conditions: [{ type: 'Paused', status: 'True' }] }

test.each([
  ['running', vmiOf(), 200, ['u1']],
  ['already paused', vmiOf('Running', { status: paused }), 409, []],
  ['absent', undefined, 404, []],
  ['scheduled', vmiOf('Scheduled'), 409, []],
  ['over', vmiOf('Succeeded'), 409, []],
  ['watched by a probe that would fail', vmiOf('Running', { spec: { livenessProbe: probe } }), 403, []],
  [
    'watched by a ping of its agent',
    vmiOf('Running', { spec: { livenessProbe: { guestAgentPing: {} } } }),
    200,
    ['u1'],
  ],
  ['on a node that is gone', vmiOf('Running', { status: { nodeName: 'n2' } }), 503, []],
  ['on a node that nobody named', vmiOf('Running', { status: { nodeName: '' } }), 400, []],
])('pause on a guest that is %s', async (_state, vmi, code, asked) => {
  const seen: string[] = []
  const { app } = apiOf({ vmi, node: { pause: async ({ uid }) => void seen.push(uid) } })
  const response = await put(app, '/virtualmachineinstances/vm1/pause')
  expect(response.statusCode).toBe(code)
  expect(seen).toEqual(asked)
  expect(response.body === '').toBe(code === 200)
})
