import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { inUse } from '../../src/lib/in-use.ts'
import { vmiOf } from '../helpers/api.ts'
import { serveStreams } from '../helpers/stream-client.ts'

const USB = '/virtualmachineinstances/vm1/usbredir'
const takes = { spec: { domain: { devices: { clientPassthrough: {} } } } }

test.each([
  ['absent', undefined, 404],
  ['on s390x', vmiOf('Pending', { spec: { ...takes.spec, architecture: 's390x' } }), 409],
  ['without places for it', vmiOf('Pending'), 409],
  ['not running', vmiOf('Scheduled', takes), 400],
])('usbredir of a guest that is %s', async (_state, vmi, code) => {
  await using api = await serveStreams({ vmi, node: {} })
  expect(await api.refusal(USB)).toMatchObject({ code, body: { kind: 'Status', code } })
})

test('a slot is opened, and a fifth client is told why it gets none', async () => {
  let open = 0
  const usbredir = async () => {
    if (open === 4) throw inUse('all 4 slots are in use')
    open += 1
    return new PassThrough()
  }
  await using api = await serveStreams({ vmi: vmiOf('Running', takes), node: { usbredir } })
  const sessions = await Promise.all([1, 2, 3, 4].map(() => api.open(USB)))
  expect(await api.refusal(USB)).toMatchObject({
    code: 503,
    body: { reason: 'ServiceUnavailable', message: 'all 4 slots are in use' },
  })
  for (const { socket } of sessions) socket.terminate()
})
