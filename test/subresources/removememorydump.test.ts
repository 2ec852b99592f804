import { expect, test } from 'vitest'
import { VMS } from '../../src/kinds/table.ts'
import { put, vmOf } from '../helpers/api.ts'
import { volumeApi } from '../helpers/volumes.ts'

const REMOVE = '/virtualmachines/vm1/removememorydump'
const DONE = { claimName: 'claim', phase: 'Completed', fileName: 'f', startTimestamp: '2026-01-01T00:00:00Z' }

test.each(['declarative', 'neither'] as const)(
  'the controller is asked to, whatever the body (%s)',
  async (gates) => {
    const { app, find, patches } = volumeApi({ vm: vmOf({}, { memoryDumpRequest: DONE }) }, gates)
    const response = await put(app, REMOVE, 'not even {')
    expect([response.statusCode, response.body]).toEqual([202, ''])
    expect(find(VMS, 'ns1', 'vm1')?.status?.memoryDumpRequest).toEqual({
      claimName: 'claim',
      phase: 'Dissociating',
      remove: true,
    })
    expect(patches).toMatchObject([{ subresource: 'status' }])
  },
)

test.each([
  ['there is no VM', undefined, 404],
  ['there is no dump', vmOf(), 409],
  ['it is being removed', vmOf({}, { memoryDumpRequest: { ...DONE, remove: true } }), 409],
])('refused: %s', async (_why, vm, code) => {
  const { app, patches } = volumeApi({ vm })
  expect((await put(app, REMOVE)).json()).toMatchObject({
    code,
    details: { kind: 'virtualmachine', name: 'vm1' },
  })
  expect(patches).toEqual([])
})

test('a dry run changes nothing', async () => {
  const { app, find } = volumeApi({ vm: vmOf({}, { memoryDumpRequest: DONE }) })
  expect((await put(app, `${REMOVE}?dryRun=All`)).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status?.memoryDumpRequest).toEqual(DONE)
})
