import { expect, test } from 'vitest'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import { put } from '../helpers/api.ts'
import { SPEC, volumeApi, volumeVm, volumeVmi } from '../helpers/volumes.ts'

const VM = '/virtualmachines/vm1/removevolume'
const VMI = '/virtualmachineinstances/vm1/removevolume'
const named = (name: string, more: object = {}) => JSON.stringify({ name, ...more })

test.each([
  ['its own name', 'plugged', ['root', 'dv', 'dump'], ['root', 'dv']],
  ['the name of its claim', 'claim1', ['root', 'dv', 'dump'], ['root', 'dv']],
  ['the name of its DataVolume', 'dv1', ['root', 'plugged', 'dump'], ['root', 'plugged']],
])('a volume is removed by %s, with its disk', async (_how, name, volumes, disks) => {
  const { app, find } = volumeApi({ vm: volumeVm(), vmi: volumeVmi() })
  expect((await put(app, VM, named(name))).statusCode).toBe(202)
  expect((await put(app, VMI, named(name))).statusCode).toBe(202)
  for (const spec of [find(VMS, 'ns1', 'vm1')?.spec.template.spec, find(VMIS, 'ns1', 'vm1')?.spec]) {
    expect(spec?.volumes?.map((volume) => volume.name)).toEqual(volumes)
    expect(spec?.domain.devices.disks?.map((disk) => disk.name)).toEqual(disks)
  }
})

test('a drive stays when its medium goes', async () => {
  const spec = {
    domain: { devices: { disks: [{ name: 'cd', cdrom: { bus: 'sata' } }] } },
    volumes: [{ name: 'cd', persistentVolumeClaim: { claimName: 'iso', hotpluggable: true } }],
  }
  const { app, find } = volumeApi({ vm: volumeVm(undefined, spec) })
  expect((await put(app, VM, named('cd'))).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec).toEqual({ ...spec, volumes: [] })
})

test('with HotplugVolumes the controller is asked to, by the name of the volume', async () => {
  const pending = [{ addVolumeOptions: { name: 'plugged', disk: { name: 'plugged' }, volumeSource: {} } }]
  const { app, find } = volumeApi({ vm: volumeVm({ volumeRequests: pending }) }, 'requests')
  expect((await put(app, VM, named('claim1'))).statusCode).toBe(202)
  const after = find(VMS, 'ns1', 'vm1')
  expect(after?.status?.volumeRequests).toEqual([{ removeVolumeOptions: { name: 'plugged' } }])
  expect(after?.spec.template.spec).toEqual(SPEC)
  expect((await put(app, VM, named('plugged'))).statusCode).toBe(409)
})

test.each([
  ['no gate is on', VM, named('plugged'), 'neither', 400],
  ['there is no name', VM, '{}', 'declarative', 400],
  ['there is no such volume', VM, named('nobody'), 'declarative', 409],
  ['it was there from the start', VM, named('root'), 'declarative', 409],
  ['it was there from the start, of a VMI', VMI, named('root'), 'declarative', 409],
  ['it holds a memory dump', VM, named('dump'), 'declarative', 409],
  ['there is no such volume to ask for', VM, named('nobody'), 'requests', 409],
] as const)('refused: %s', async (_why, path, body, gates, code) => {
  const { app, patches } = volumeApi({ vm: volumeVm(), vmi: volumeVmi() }, gates)
  expect((await put(app, path, body)).json()).toMatchObject({ code })
  expect(patches).toEqual([])
})

test('VM and VMI have to be there', async () => {
  expect((await put(volumeApi({}).app, VM, named('a'))).json()).toMatchObject({
    code: 404,
    details: { kind: 'virtualmachine' },
  })
  expect((await put(volumeApi({}).app, VMI, named('a'))).json()).toMatchObject({
    code: 404,
    details: { kind: 'virtualmachineinstance' },
  })
})

test('the VMI of a VM is left to its VM, and one that does not run alone', async () => {
  const ofVm = volumeApi({ vmi: volumeVmi('Running', false) })
  expect((await put(ofVm.app, VMI, named('plugged'))).statusCode).toBe(400)
  const idle = volumeApi({ vmi: volumeVmi('Scheduled') })
  expect((await put(idle.app, VMI, named('plugged'))).statusCode).toBe(409)
})

test('a dry run changes nothing', async () => {
  const { app, find, patches } = volumeApi({ vm: volumeVm() })
  expect((await put(app, VM, named('plugged', { dryRun: ['All'] }))).statusCode).toBe(202)
  expect((await put(app, `${VM}?dryRun=All`, named('plugged'))).statusCode).toBe(202)
  expect((await put(app, VM, named('plugged', { dryRun: ['None'] }))).statusCode).toBe(422)
  expect(patches.map(({ dryRun }) => dryRun)).toEqual([true, true])
  expect(find(VMS, 'ns1', 'vm1')?.spec.template.spec).toEqual(SPEC)
})
