import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import { inUse } from '../../src/lib/in-use.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { vmiOf } from '../helpers/api.ts'
import { serveStreams } from '../helpers/stream-client.ts'

const CONSOLE = '/virtualmachineinstances/vm1/console'
const noSerial = { spec: { domain: { devices: { autoattachSerialConsole: false } } } }

function recording(): { asked: unknown[]; node: Partial<Actions> } {
  const asked: unknown[] = []
  return {
    asked,
    node: {
      console: async ({ uid }, options) => {
        asked.push([uid, options])
        return new PassThrough()
      },
    },
  }
}

test.each([
  ['', { mode: 'write', preserveSession: false }],
  ['?mode=write', { mode: 'write', preserveSession: false }],
  ['?mode=view', { mode: 'view', preserveSession: false }],
  ['?preserveSession=true', { mode: 'write', preserveSession: true }],
  ['?preserveSession=perhaps', { mode: 'write', preserveSession: false }],
])('console%s is asked of the node, with who asks', async (query, options) => {
  const { asked, node } = recording()
  await using api = await serveStreams({ vmi: vmiOf(), node })
  const { socket } = await api.open(CONSOLE + query)
  expect(asked).toEqual([['u1', { ...options, user: 'alice' }]])
  socket.terminate()
})

test.each(['?mode=', '?mode=read', '?mode=View'])(
  'console%s is 400 and names the parameter',
  async (query) => {
    const { asked, node } = recording()
    await using api = await serveStreams({ vmi: vmiOf(), node })
    const { code, body } = await api.refusal(CONSOLE + query)
    expect(code).toBe(400)
    expect(body).toMatchObject({ kind: 'Status', code: 400, details: { causes: [{ field: 'mode' }] } })
    expect(asked).toEqual([])
  },
)

test.each([
  ['absent', undefined, 404],
  ['without a serial port', vmiOf('Running', noSerial), 400],
  ['without a serial port, and failed', vmiOf('Failed', noSerial), 400],
  ['failed', vmiOf('Failed'), 409],
  // Clients wait on 400 alone.
  ['not running yet', vmiOf('Scheduled'), 400],
  ['pending', vmiOf('Pending'), 400],
  ['over', vmiOf('Succeeded'), 400],
])('console of a guest that is %s', async (_state, vmi, code) => {
  const { asked, node } = recording()
  await using api = await serveStreams({ vmi, node })
  expect(await api.refusal(CONSOLE)).toMatchObject({ code, body: { kind: 'Status', code } })
  expect(asked).toEqual([])
})

test('somebody who types and is to be preserved is 409; a node that cannot be reached stays 503', async () => {
  const fail = async (error: Error) => {
    const console = vi.fn<Actions['console']>().mockRejectedValue(error)
    await using api = await serveStreams({ vmi: vmiOf(), node: { console } })
    return await api.refusal(`${CONSOLE}?preserveSession=true`)
  }
  expect(await fail(inUse('Active console connection.'))).toMatchObject({
    code: 409,
    body: { reason: 'Conflict', details: { name: 'vm1' } },
  })
  expect(await fail(serviceUnavailable('QEMU does not answer'))).toMatchObject({ code: 503 })
})
