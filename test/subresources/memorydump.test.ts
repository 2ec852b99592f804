import { expect, test } from 'vitest'
import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { CDI_CONFIGS, VMS } from '../../src/kinds/table.ts'
import { put, vmiOf, vmOf } from '../helpers/api.ts'
import { claimOf, type GATES, volumeApi } from '../helpers/volumes.ts'

const DUMP = '/virtualmachines/vm1/memorydump'
const named = (claimName: string, more: object = {}) => JSON.stringify({ claimName, ...more })
const running = (memory = '128Mi'): Vmi =>
  vmiOf('Running', { spec: { domain: { devices: {}, resources: { requests: { memory } } } } })
const request = (phase: string, claimName = 'claim') => ({ memoryDumpRequest: { claimName, phase } })

test('the controller is asked to, and nothing but the claim is taken from the client', async () => {
  const { app, find, patches } = volumeApi({ vm: vmOf(), vmi: running(), claims: [claimOf('claim')] })
  const forged = {
    phase: 'Completed',
    remove: true,
    fileName: '/etc/shadow',
    message: 'x',
    startTimestamp: 'y',
  }
  const response = await put(app, DUMP, named('claim', forged))
  expect([response.statusCode, response.body]).toEqual([202, ''])
  expect(find(VMS, 'ns1', 'vm1')?.status).toEqual({
    memoryDumpRequest: { claimName: 'claim', phase: 'Associating' },
  })
  expect(patches).toMatchObject([{ subresource: 'status', dryRun: false }])
})

test.each(['Completed', 'Failed'])(
  'after one that is %s the claim need not be named again',
  async (phase) => {
    const { app, find } = volumeApi({
      vm: vmOf({}, request(phase)),
      vmi: running(),
      claims: [claimOf('claim')],
    })
    expect((await put(app, DUMP, '')).statusCode).toBe(202)
    expect(find(VMS, 'ns1', 'vm1')?.status).toEqual(request('Associating'))
  },
)

interface Given {
  vm?: Vm | undefined
  vmi?: Vmi | undefined
  claims?: PersistentVolumeClaim[]
  gates?: keyof typeof GATES
  body?: string
}
type Row = [why: string, Given, code: number, kind: string | undefined]

test.each<Row>([
  ['no gate is on', { gates: 'neither' }, 400, undefined],
  ['the body is broken', { body: '{' }, 400, undefined],
  ['there is no VM', { vm: undefined }, 404, 'virtualmachine'],
  ['no claim is named', { body: '{}' }, 400, undefined],
  ['another claim is associated', { vm: vmOf({}, request('Completed', 'other')) }, 409, 'virtualmachine'],
  ['there is no VMI', { vmi: undefined }, 404, 'virtualmachineinstance'],
  ['the VMI does not run', { vmi: vmiOf('Scheduled') }, 409, 'virtualmachineinstance'],
  ['there is no claim', { claims: [] }, 404, 'persistentvolumeclaim'],
  [
    'the claim is a device',
    { claims: [claimOf('claim', { volumeMode: 'Block' })] },
    409,
    'persistentvolumeclaim',
  ],
  [
    'the claim is read-only',
    { claims: [claimOf('claim', { accessModes: ['ReadOnlyMany'] })] },
    409,
    'persistentvolumeclaim',
  ],
  ['the claim is too small', { claims: [claimOf('claim', {}, '240Mi')] }, 409, 'persistentvolumeclaim'],
  ['one is in progress', { vm: vmOf({}, request('InProgress')) }, 409, 'virtualmachine'],
  ['one is being removed', { vm: vmOf({}, request('Dissociating')) }, 409, 'virtualmachine'],
])('refused: %s', async (_why, given, code, kind) => {
  const whole = {
    vm: vmOf(),
    vmi: running(),
    claims: [claimOf('claim')],
    gates: 'declarative' as keyof typeof GATES,
    body: named('claim'),
  }
  const { gates, body, ...objects } = { ...whole, ...given }
  const { app, patches } = volumeApi(objects, gates)
  const response = await put(app, DUMP, body)
  expect(response.json()).toMatchObject({ code, ...(kind && { details: { kind } }) })
  expect(patches).toEqual([])
})

// (128 MiB + 100 MiB) × 1.055 = 240.54 MiB, so 241 MiB.
test.each([
  ['241Mi', {}, 202],
  ['240Mi', {}, 409],
  ['228Mi', { global: '0' }, 202],
  ['250Mi', { global: '0', storageClass: { slow: '0.1' } }, 409],
  ['251Mi', { global: '0', storageClass: { slow: '0.1' } }, 202],
])('a claim of %s, with an overhead of %o', async (storage, filesystemOverhead, code) => {
  const claims = [claimOf('claim', { storageClassName: 'slow' }, storage)]
  const api = volumeApi({ vm: vmOf(), vmi: running(), claims })
  if (Object.keys(filesystemOverhead).length > 0) {
    const config = {
      apiVersion: 'cdi.kubevirt.io/v1beta1',
      kind: 'CDIConfig',
      metadata: { name: 'config', uid: 'c', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
      status: { filesystemOverhead },
    }
    api.put(CDI_CONFIGS, config)
  }
  expect((await put(api.app, DUMP, named('claim'))).statusCode).toBe(code)
})

test('a claim that can be mounted read-only besides is as good as any', async () => {
  const claims = [claimOf('claim', { accessModes: ['ReadOnlyMany', 'ReadWriteMany'] })]
  const { app } = volumeApi({ vm: vmOf(), vmi: running(), claims })
  expect((await put(app, DUMP, named('claim'))).statusCode).toBe(202)
})

test('a dry run changes nothing', async () => {
  const { app, find } = volumeApi({ vm: vmOf(), vmi: running(), claims: [claimOf('claim')] })
  expect((await put(app, `${DUMP}?dryRun=All`, named('claim'))).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status).toBeUndefined()
})
