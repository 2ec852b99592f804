import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { VsockOptions } from '../../src/rpc/actions.ts'
import { vsock } from '../../src/subresources/vsock.ts'
import { vmiOf } from '../helpers/api.ts'
import { streamCall } from '../helpers/stream-call.ts'

const spec = { domain: { devices: { autoattachVSOCK: true } } }
const running = vmiOf('Running', { spec })

function recording() {
  const seen: VsockOptions[] = []
  const stream = new PassThrough()
  const node = {
    vsock: async (_guest: unknown, options: VsockOptions) => {
      seen.push(options)
      return stream
    },
  }
  return { seen, stream, node }
}

test.each([
  ['TLS where nothing is said of it', { port: '22' }, { port: 22, tls: true }],
  ['none where it is declined', { port: '4294967295', tls: 'false' }, { port: 4_294_967_295, tls: false }],
  ['it where it is asked for', { port: '1', tls: 'T' }, { port: 1, tls: true }],
])('a connection has %s', async (_what, query, expected) => {
  const { seen, stream, node } = recording()
  expect(await vsock.open(streamCall({ vmi: running, node, query }))).toBe(stream)
  expect(seen).toEqual([expected])
})

test.each([
  {},
  { port: '' },
  { port: '0' },
  { port: '-1' },
  { port: '4294967296' },
  { port: '22&tls=false' },
  { port: '1e3' },
  { port: '22', tls: 'maybe' },
  { port: '22', tls: '' },
])('the query %j is refused with 400 before the node is asked', async (query) => {
  const { seen, node } = recording()
  const opened = vsock.open(streamCall({ vmi: running, node, query: { ...query } }))
  await expect(opened).rejects.toMatchObject({ code: 400 })
  expect(seen).toEqual([])
})

test.each([
  ['absent', undefined, 404],
  ['without vsock', vmiOf(), 400],
  ['on no node', vmiOf('Pending', { spec }), 400],
])('a guest that is %s is refused', async (_state, vmi, code) => {
  const { node } = recording()
  await expect(vsock.open(streamCall({ vmi, node, query: { port: '22' } }))).rejects.toMatchObject({ code })
})
