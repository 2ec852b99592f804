import { expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import { put, vmOf } from '../helpers/api.ts'
import { SPEC, volumeApi, volumeVm, volumeVmi } from '../helpers/volumes.ts'

const VM = '/virtualmachines/vm1/addvolume'
const VMI = '/virtualmachineinstances/vm1/addvolume'
const disk = { disk: { bus: 'scsi' } }
const bodyOf = (more: object = {}) =>
  JSON.stringify({
    name: 'new',
    disk,
    volumeSource: { persistentVolumeClaim: { claimName: 'claim2' } },
    ...more,
  })
const volume = { name: 'new', persistentVolumeClaim: { claimName: 'claim2', hotpluggable: true } }
const added = {
  volumes: [...(SPEC.volumes ?? []), volume],
  disks: [...(SPEC.domain.devices.disks ?? []), { name: 'new', disk: { bus: 'scsi' } }],
}

test('a volume and its disk come into the template, with the feature gates as they are by default', async () => {
  const { app, find, patches } = volumeApi({ vm: volumeVm() })
  const response = await put(app, VM, bodyOf())
  expect([response.statusCode, response.body]).toEqual([202, ''])
  const { spec } = find(VMS, 'ns1', 'vm1')?.spec.template ?? {}
  expect({ volumes: spec?.volumes, disks: spec?.domain.devices.disks }).toEqual(added)
  expect(patches).toMatchObject([{ kind: 'virtualmachines', dryRun: false }])
  expect(patches[0]?.subresource).toBeUndefined()
})

test('a template without volumes and devices gets both', async () => {
  const bare = vmOf({ template: { spec: { domain: {} as never } } })
  const { app, find } = volumeApi({ vm: bare })
  expect((await put(app, VM, bodyOf())).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec).toEqual({
    volumes: [volume],
    domain: { devices: { disks: [{ name: 'new', ...disk }] } },
  })
})

test('the disk bears the name of the volume, whatever it said', async () => {
  const { app, find } = volumeApi({ vm: volumeVm() })
  await put(app, VM, bodyOf({ disk: { ...disk, name: 'other', serial: 's1' } }))
  const { disks = [] } = find(VMS, 'ns1', 'vm1')?.spec.template.spec.domain.devices ?? {}
  expect(disks.at(-1)).toEqual({ name: 'new', serial: 's1', ...disk })
})

test.each([
  ['a DataVolume', { dataVolume: { name: 'dv2' } }, { dataVolume: { name: 'dv2', hotpluggable: true } }],
  [
    'the claim where both are given',
    { dataVolume: { name: 'dv2' }, persistentVolumeClaim: { claimName: 'c2' } },
    { persistentVolumeClaim: { claimName: 'c2', hotpluggable: true } },
  ],
])('its source is %s', async (_what, volumeSource, expected) => {
  const { app, find } = volumeApi({ vm: volumeVm() })
  await put(app, VM, bodyOf({ volumeSource }))
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec.volumes?.at(-1)).toEqual({ name: 'new', ...expected })
})

test('with HotplugVolumes the controller is asked to, in the status', async () => {
  const { app, find, patches } = volumeApi({ vm: volumeVm() }, 'requests')
  expect((await put(app, VM, bodyOf())).statusCode).toBe(202)
  const after = find(VMS, 'ns1', 'vm1')
  expect(after?.status?.volumeRequests).toEqual([
    {
      addVolumeOptions: {
        name: 'new',
        disk: { name: 'new', ...disk },
        volumeSource: { persistentVolumeClaim: { claimName: 'claim2', hotpluggable: true } },
      },
    },
  ])
  expect(after?.spec.template.spec).toEqual(SPEC)
  expect(patches).toMatchObject([{ subresource: 'status' }])
})

test.each(['declarative', 'requests'] as const)('a VMI of its own is changed itself (%s)', async (gates) => {
  const { app, find } = volumeApi({ vmi: volumeVmi() }, gates)
  expect((await put(app, VMI, bodyOf())).statusCode).toBe(202)
  const spec = find(VMIS, 'ns1', 'vm1')?.spec
  expect({ volumes: spec?.volumes, disks: spec?.domain.devices.disks }).toEqual(added)
})

test('the VMI of a VM is changed itself only with HotplugVolumes', async () => {
  const vmi = volumeVmi('Running', false)
  expect((await put(volumeApi({ vmi }, 'declarative').app, VMI, bodyOf())).json()).toMatchObject({
    code: 400,
    reason: 'BadRequest',
  })
  expect((await put(volumeApi({ vmi }, 'requests').app, VMI, bodyOf())).statusCode).toBe(202)
})

test.each([
  ['no gate is on', VM, bodyOf(), 'neither', 400, undefined],
  ['no gate is on, for a VMI', VMI, bodyOf(), 'neither', 400, undefined],
  ['the body is broken', VM, '{"name":', 'declarative', 400, undefined],
  ['there is no name', VM, bodyOf({ name: '' }), 'declarative', 400, undefined],
  ['there is no disk', VM, bodyOf({ disk: null }), 'declarative', 400, undefined],
  ['there is no source', VM, bodyOf({ volumeSource: null }), 'declarative', 400, undefined],
  ['the disk is no object', VM, bodyOf({ disk: 'sda' }), 'declarative', 400, undefined],
  ['the name is taken', VM, bodyOf({ name: 'root' }), 'declarative', 409, 'virtualmachine'],
  [
    'the name is taken, for a VMI',
    VMI,
    bodyOf({ name: 'root' }),
    'declarative',
    409,
    'virtualmachineinstance',
  ],
  [
    'the claim is there already',
    VM,
    bodyOf({ volumeSource: { persistentVolumeClaim: { claimName: 'claim1' } } }),
    'declarative',
    409,
    'virtualmachine',
  ],
  [
    'a claim of that name is the DataVolume',
    VM,
    bodyOf({ volumeSource: { dataVolume: { name: 'claim1' } } }),
    'requests',
    409,
    'virtualmachine',
  ],
] as const)('refused: %s', async (_why, path, body, gates, code, kind) => {
  const { app, patches } = volumeApi({ vm: volumeVm(), vmi: volumeVmi() }, gates)
  const response = await put(app, path, body)
  expect(response.json()).toMatchObject({
    code,
    reason: code === 400 ? 'BadRequest' : 'Conflict',
    ...(kind && { details: { kind, name: 'vm1' } }),
  })
  expect(patches).toEqual([])
})

test('the gate is asked before the body, and the body before the VM', async () => {
  expect((await put(volumeApi({}, 'neither').app, VM, '{')).json().message).toContain('feature gates')
  expect((await put(volumeApi({}).app, VM, '{}')).statusCode).toBe(400)
  expect((await put(volumeApi({}).app, VM, bodyOf())).json()).toMatchObject({
    code: 404,
    details: { kind: 'virtualmachine', name: 'vm1' },
  })
  expect((await put(volumeApi({}).app, VMI, bodyOf())).json()).toMatchObject({
    code: 404,
    details: { kind: 'virtualmachineinstance' },
  })
})

test('a VMI that does not run is not changed', async () => {
  const { app } = volumeApi({ vmi: volumeVmi('Scheduled') })
  expect((await put(app, VMI, bodyOf())).json()).toMatchObject({ code: 409 })
})

test.each([
  ['to add it', { addVolumeOptions: { name: 'new', disk: { name: 'new' }, volumeSource: {} } }],
  ['to remove it', { removeVolumeOptions: { name: 'new' } }],
])('a request waits for the one before it: %s', async (_what, pending) => {
  const { app, patches } = volumeApi({ vm: volumeVm({ volumeRequests: [pending] }) }, 'requests')
  expect((await put(app, VM, bodyOf())).statusCode).toBe(409)
  expect(patches).toEqual([])
  expect((await put(app, VM, bodyOf({ name: 'other' }))).statusCode).toBe(202)
})

test.each([
  ['in the body', VM, { dryRun: ['All'] }],
  ['in the query', `${VM}?dryRun=All`, {}],
  ['of a VMI', VMI, { dryRun: ['All'] }],
])('a dry run %s checks everything and changes nothing', async (_where, path, more) => {
  const { app, find, patches } = volumeApi({ vm: volumeVm(), vmi: volumeVmi() })
  expect((await put(app, path, bodyOf(more))).statusCode).toBe(202)
  expect(patches).toMatchObject([{ dryRun: true }])
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec).toEqual(SPEC)
  expect(find(VMIS, 'ns1', 'vm1')?.spec).toEqual(SPEC)
  expect((await put(app, path, bodyOf({ ...more, name: 'root' }))).statusCode).toBe(409)
})

test('an empty list of dry runs is none, and a value that is not known is refused', async () => {
  const { app, find, patches } = volumeApi({ vm: volumeVm() })
  expect((await put(app, VM, bodyOf({ dryRun: ['Some'] }))).statusCode).toBe(422)
  expect(patches).toEqual([])
  expect((await put(app, VM, bodyOf({ dryRun: [] }))).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec.volumes).toHaveLength(5)
})

test('a lost race is decided anew', async () => {
  const api = volumeApi({ vm: volumeVm() })
  api.interfere(() => {
    api.interfere(undefined)
    const vm = api.find(VMS, 'ns1', 'vm1')
    if (vm) api.put(VMS, { ...vm, metadata: { ...vm.metadata, labels: { touched: 'yes' } } })
  })
  expect((await put(api.app, VM, bodyOf())).statusCode).toBe(202)
  const after = api.find(VMS, 'ns1', 'vm1')
  expect(after?.metadata.labels).toEqual({ touched: 'yes' })
  expect(after?.spec.template.spec.volumes).toHaveLength(5)
})

test('a race that is always lost ends with the words of the Kubernetes API, which virtctl knows', async () => {
  const api = volumeApi({ vm: volumeVm() })
  api.interfere(() => {
    const vm = api.find(VMS, 'ns1', 'vm1')
    if (vm) api.put(VMS, vm)
  })
  expect((await put(api.app, VM, bodyOf())).json()).toMatchObject({
    code: 422,
    message: 'the server rejected our request due to an error in our request',
  })
  expect(api.patches.length).toBeGreaterThan(1)
})

test('a value that is not in its canonical form does not stand in the way', async () => {
  const odd = { ...SPEC, volumes: [{ name: 'empty', emptyDisk: { capacity: '1024Mi' } }] }
  expect((await put(volumeApi({ vm: volumeVm(undefined, odd) }).app, VM, bodyOf())).statusCode).toBe(202)
})

test('what admission refuses is told as it says it', async () => {
  const api = volumeApi({ vm: volumeVm() })
  api.interfere(() => {
    throw new StatusError(403, 'Forbidden', 'a snapshot is being taken')
  })
  expect((await put(api.app, VM, bodyOf())).json()).toMatchObject({
    code: 403,
    message: 'a snapshot is being taken',
  })
})
