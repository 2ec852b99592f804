import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { serviceUnavailable, timeout } from '../../src/lib/errors.ts'
import type { PortForwardOptions } from '../../src/rpc/actions.ts'
import { portforward, vmPortforward } from '../../src/subresources/portforward.ts'
import { vmiOf, vmOf } from '../helpers/api.ts'
import { streamCall } from '../helpers/stream-call.ts'

const CARD = { interfaces: [{ name: 'default', ipAddress: '10.0.2.2' }] }
const PAUSED = { ...CARD, conditions: [{ type: 'Paused', status: 'True' }] }
const running = vmiOf('Running', { status: CARD })
const created = vmOf({}, { created: true })
const stranger = { ...running, metadata: { ...running.metadata, ownerReferences: [] } }

function recording() {
  const seen: PortForwardOptions[] = []
  const stream = new PassThrough()
  const node = {
    portForward: async (_guest: unknown, options: PortForwardOptions) => {
      seen.push(options)
      return stream
    },
  }
  return { seen, stream, node }
}

test.each([
  ['the protocol it names', { port: '53', protocol: 'udp' }, { port: 53, protocol: 'udp' }, 'datagrams'],
  ['TCP where it names none', { port: '22' }, { port: 22, protocol: 'tcp' }, 'bytes'],
  ['the highest port', { port: '65535', protocol: 'tcp' }, { port: 65_535, protocol: 'tcp' }, 'bytes'],
] as const)('a path leads to %s', async (_what, params, expected, framing) => {
  const { seen, stream, node } = recording()
  const call = streamCall({ vmi: running, node, params })
  expect(await portforward.open(call)).toBe(stream)
  expect(seen).toEqual([expected])
  expect(portforward.framing?.(call)).toBe(framing)
})

test.each([
  '0',
  '65536',
  '99999',
  '-1',
  '+22',
  '022',
  '22 ',
  ' 22',
  '2e1',
  '0x16',
  '22/udp',
  'http',
  '１２',
  '',
])('port %j is refused with 400 before the node is asked', async (port) => {
  const { seen, node } = recording()
  await expect(portforward.open(streamCall({ vmi: running, node, params: { port } }))).rejects.toMatchObject({
    code: 400,
  })
  expect(seen).toEqual([])
})

test.each(['TCP', 'tcp4', 'udp6', 'unix', 'sctp', ''])(
  'protocol %j is refused with 400',
  async (protocol) => {
    const { seen, node } = recording()
    const call = streamCall({ vmi: running, node, params: { port: '22', protocol } })
    await expect(portforward.open(call)).rejects.toMatchObject({ code: 400 })
    expect(seen).toEqual([])
  },
)

test.each([
  ['absent', undefined, 404, 'virtualmachineinstance'],
  ['paused', vmiOf('Running', { status: PAUSED }), 409, 'virtualmachineinstance'],
  ['without a card', vmiOf(), 400, undefined],
  ['on no node yet', vmiOf('Scheduling', { status: CARD }), 400, undefined],
  ['over', vmiOf('Succeeded', { status: CARD }), 400, undefined],
])('a guest that is %s is refused', async (_state, vmi, code, kind) => {
  const { seen, node } = recording()
  const opened = portforward.open(streamCall({ vmi, node, params: { port: '22' } }))
  await expect(opened).rejects.toMatchObject({ code, ...(kind && { details: { kind } }) })
  expect(seen).toEqual([])
})

test.each([
  ['VM is absent', undefined, running, 404, 'virtualmachine'],
  ['VM was not created', vmOf(), running, 409, 'virtualmachine'],
  ['VMI is absent', created, undefined, 404, 'virtualmachineinstance'],
  ["VMI is somebody else's", created, stranger, 409, 'virtualmachine'],
])('by the name of the VM: refused where the %s', async (_what, vm, vmi, code, kind) => {
  const { node } = recording()
  const opened = vmPortforward.open(streamCall({ vm, vmi, node, params: { port: '22' } }))
  await expect(opened).rejects.toMatchObject({ code, details: { kind } })
})

test('by the name of the VM: its own VMI is dialled', async () => {
  const { seen, node } = recording()
  await vmPortforward.open(streamCall({ vm: created, vmi: running, node, params: { port: '22' } }))
  expect(seen).toEqual([{ port: 22, protocol: 'tcp' }])
})

test.each([
  ['refuses', serviceUnavailable('nothing listens there'), 503],
  ['does not answer', timeout('no answer within 10 s'), 504],
])('a guest that %s is told as what it is', async (_what, error, code) => {
  const node = { portForward: () => Promise.reject(error) }
  const opened = portforward.open(streamCall({ vmi: running, node, params: { port: '22' } }))
  await expect(opened).rejects.toMatchObject({ code, message: error.message })
})
