import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { inUse } from '../../src/lib/in-use.ts'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import { vmiOf } from '../helpers/api.ts'
import { serveStreams } from '../helpers/stream-client.ts'

const VNC = '/virtualmachineinstances/vm1/vnc'

test.each<[string, unknown, number]>([
  ['not set', undefined, 1],
  ['3', 3, 3],
  ['none at all', 0, 1],
  ['less than that', -2, 1],
  ['a part of one', 1.5, 1],
  ['a text', '3', 1],
])(
  'with maxVNCConnectionsPerVMI %s, the node shares the display so often',
  async (_what, max, maxSessions) => {
    const asked: unknown[] = []
    const configuration = max === undefined ? {} : { maxVNCConnectionsPerVMI: max }
    const vnc = async (_guest: unknown, options: object) => {
      asked.push(options)
      return new PassThrough()
    }
    await using api = await serveStreams({ vmi: vmiOf(), node: { vnc }, configuration })
    const { socket } = await api.open(`${VNC}?preserveSession=true`)
    expect(asked).toEqual([{ preserveSession: true, maxSessions, user: 'alice' }])
    socket.terminate()
  },
)

test.each([
  ['somebody who is to be preserved', inUse('Active VNC connection.'), 409],
  ['a QEMU that does not answer', serviceUnavailable('it does not answer'), 503],
])('%s', async (_what, error, code) => {
  await using api = await serveStreams({ vmi: vmiOf(), node: { vnc: () => Promise.reject(error) } })
  expect(await api.refusal(`${VNC}?preserveSession=true`)).toMatchObject({ code, body: { code } })
})
