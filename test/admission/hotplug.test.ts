import { expect, test } from 'vitest'
import { kubeVirtUser } from '../../src/admission/accounts.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIS } from '../../src/kinds/table.ts'
import type { Disk, Volume } from '../../src/kinds/volumes.ts'
import { causesOf, makeAdmission, requestOf, SOMEBODY } from '../helpers/admission.ts'

const US = kubeVirtUser('controller')
const ROOT: Volume = { name: 'root', containerDisk: { image: 'i' } }
const ROOT_DISK: Disk = { name: 'root', disk: { bus: 'sata' } }
const CD: Disk = { name: 'cd', cdrom: { bus: 'sata' } }
const plugged = (name: string, claimName = name): Volume => ({
  name,
  persistentVolumeClaim: { claimName, hotpluggable: true },
})
const scsi = (name: string): Disk => ({ name, disk: { bus: 'scsi' } })
const DUMP: Volume = { name: 'dump', memoryDump: { claimName: 'dump', hotpluggable: true } }

type Spec = Vmi['spec']
const specOf = (volumes: Volume[], disks: Disk[], more: Partial<Spec> = {}): Spec => ({
  volumes,
  ...more,
  domain: { ...more.domain, devices: { disks } },
})
/** The volume `root` was there from the start; whatever else there is has come since. */
const vmiOf = (spec: Spec, status: Vmi['status'] = {}) => ({
  spec,
  status: { volumeStatus: [{ name: 'root', target: 'sda' }], ...status },
})

function review(
  before: Spec,
  after: Spec,
  user = US,
  status: Vmi['status'] = {},
  gates: string[] = ['DeclarativeHotplugVolumes'],
) {
  const old = requestOf(VMIS, vmiOf(before)).object
  const admission = makeAdmission({ isGateOn: (gate) => gates.includes(gate) })
  return causesOf(admission.review(requestOf(VMIS, vmiOf(after, status), { operation: 'UPDATE', old, user })))
}

const BASE = specOf([ROOT], [ROOT_DISK])
const WITH_A = specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('a')])
const cpu = (maxSockets: number) =>
  specOf([ROOT], [ROOT_DISK], { domain: { cpu: { maxSockets }, devices: {} } })
const memory = (maxGuest: string) =>
  specOf([ROOT], [ROOT_DISK], { domain: { memory: { maxGuest }, devices: {} } })
const utility = (...utilityVolumes: { name: string; claimName: string }[]) => ({ ...BASE, utilityVolumes })

test.each<[string, Spec, Spec]>([
  ['a disk on a claim', BASE, WITH_A],
  [
    'a disk on a DataVolume',
    BASE,
    specOf([ROOT, { name: 'a', dataVolume: { name: 'd', hotpluggable: true } }], [ROOT_DISK, scsi('a')]),
  ],
  [
    'a disk on virtio with a thread',
    BASE,
    specOf(
      [ROOT, plugged('a')],
      [ROOT_DISK, { name: 'a', dedicatedIOThread: true, disk: { bus: 'virtio' } }],
    ),
  ],
  ['a lun', BASE, specOf([ROOT, plugged('a')], [ROOT_DISK, { name: 'a', lun: { bus: 'scsi' } }])],
  ['the removal of a disk', WITH_A, BASE],
  ['a memory dump', BASE, specOf([ROOT, DUMP], [ROOT_DISK])],
  ['the end of one', specOf([ROOT, DUMP], [ROOT_DISK]), BASE],
  ['a medium for a drive', specOf([ROOT], [ROOT_DISK, CD]), specOf([ROOT, plugged('cd')], [ROOT_DISK, CD])],
  [
    'a drive that is emptied',
    specOf([ROOT, plugged('cd')], [ROOT_DISK, CD]),
    specOf([ROOT], [ROOT_DISK, CD]),
  ],
  ['the same size, written otherwise', memory('1Gi'), memory('1024Mi')],
])('KubeVirt may change a running guest: %s', async (_what, before, after) => {
  expect(await review(before, after)).toEqual([])
  expect(await review(before, after, SOMEBODY)).toEqual(['NotSupported'])
})

test.each<[rule: string, Spec, Spec, string[]]>([
  ['VMIU-005', cpu(4), cpu(8), ['Invalid']],
  ['VMIU-006', memory('1Gi'), memory('2Gi'), ['Invalid']],
  ['VMIU-007', BASE, utility({ name: 'u', claimName: 'c' }), ['Invalid spec.utilityVolumes']],
  ['VMIU-014', BASE, specOf([ROOT, plugged('a')], [ROOT_DISK]), ['Invalid']],
  ['VMIU-014, without a volume', WITH_A, specOf([ROOT], [ROOT_DISK, scsi('a')]), ['Invalid']],
  ['VMIU-015', BASE, specOf([], []), ['Invalid']],
  [
    'VMIU-016, the volume',
    BASE,
    specOf([{ name: 'root', containerDisk: { image: 'other' } }], [ROOT_DISK]),
    ['Invalid'],
  ],
  ['VMIU-016, the disk', BASE, specOf([ROOT], [{ ...ROOT_DISK, serial: 's' }]), ['Invalid']],
  ['VMIU-017, the volume', WITH_A, specOf([ROOT, plugged('a', 'b')], [ROOT_DISK, scsi('a')]), ['Invalid']],
  [
    'VMIU-017, the disk',
    WITH_A,
    specOf([ROOT, plugged('a')], [ROOT_DISK, { ...scsi('a'), serial: 's' }]),
    ['Invalid'],
  ],
  [
    'VMIU-018, the source',
    BASE,
    specOf([ROOT, { name: 'a', emptyDisk: { capacity: '1Gi' } }], [ROOT_DISK, scsi('a')]),
    ['Invalid'],
  ],
  ['VMIU-018, the disk', BASE, specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('b')]), ['Invalid']],
  [
    'HPD-002',
    BASE,
    specOf([ROOT, plugged('a')], [ROOT_DISK, { name: 'a', disk: { bus: 'sata' } }]),
    ['Invalid'],
  ],
  ['HPD-002, no bus', BASE, specOf([ROOT, plugged('a')], [ROOT_DISK, { name: 'a', disk: {} }]), ['Invalid']],
  [
    'HPD-003',
    BASE,
    specOf([ROOT, plugged('a')], [ROOT_DISK, { name: 'a', lun: { bus: 'virtio' } }]),
    ['Invalid'],
  ],
  ['HPD-004', BASE, specOf([ROOT, plugged('cd')], [ROOT_DISK, CD]), ['Invalid']],
  [
    'HPD-005',
    BASE,
    specOf([ROOT, plugged('a')], [ROOT_DISK, { ...scsi('a'), dedicatedIOThread: true }]),
    ['Invalid'],
  ],
  [
    'HPD-006',
    BASE,
    specOf([ROOT, plugged('a')], [ROOT_DISK, { ...scsi('a'), bootOrder: 0 }]),
    ['Invalid spec.domain.devices.disks[1].bootOrder'],
  ],
])('a change that a running guest cannot take is refused: %s', async (_rule, before, after, causes) => {
  expect(await review(before, after)).toEqual(causes)
})

test('a volume that is being migrated may change, and its disk may not', async () => {
  const status = { migratedVolumes: [{ volumeName: 'a' }, { volumeName: 'root' }] }
  const moved = specOf(
    [{ name: 'root', containerDisk: { image: 'other' } }, plugged('a', 'b')],
    [ROOT_DISK, scsi('a')],
  )
  expect(await review(WITH_A, moved, US, status)).toEqual([])
  const changed = specOf([ROOT, plugged('a', 'b')], [ROOT_DISK, { ...scsi('a'), serial: 's' }])
  expect(await review(WITH_A, changed, US, status)).toEqual(['Invalid'])
})

test('an empty drive counts where DeclarativeHotplugVolumes is off', async () => {
  const emptied = specOf([ROOT], [ROOT_DISK, CD])
  expect(await review(specOf([ROOT, plugged('cd')], [ROOT_DISK, CD]), emptied, US, {}, [])).toEqual([
    'Invalid',
  ])
})

test.each([
  ['one', utility({ name: 'u', claimName: 'c' }), []],
  ['without a name', utility({ name: '', claimName: 'c' }), ['Required spec.utilityVolumes[0].name']],
  [
    'twice, without a claim',
    utility({ name: 'u', claimName: 'c' }, { name: 'u', claimName: '' }),
    ['Duplicate spec.utilityVolumes[1].name', 'Required spec.utilityVolumes[1].claimName'],
  ],
  ['named as a disk', utility({ name: 'root', claimName: 'c' }), ['Duplicate spec.utilityVolumes[0].name']],
])('utility volumes with their gate: %s', async (_what, after, causes) => {
  expect(await review(BASE, after, US, {}, ['UtilityVolumes', 'DeclarativeHotplugVolumes'])).toEqual(causes)
})

test('a utility volume that changed is refused', async () => {
  const [before, after] = ['c', 'd'].map((claimName) => utility({ name: 'u', claimName }))
  if (!before || !after) throw new Error('two are made')
  expect(await review(before, after, US, {}, ['UtilityVolumes'])).toEqual(['Invalid'])
})
