import { expect, test } from 'vitest'
import {
  applyRequest,
  followTemplate,
  isCarriedOut,
  withoutLiveVolumes,
} from '../../../src/controllers/vm/live-volumes.ts'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { type Disk, memoryDumpVolume, type Volume } from '../../../src/kinds/volumes.ts'
import { vmiOf } from '../../helpers/api.ts'

const plugged = (name: string, claimName = name): Volume => ({
  name,
  persistentVolumeClaim: { claimName, hotpluggable: true },
})
const ROOT: Volume = { name: 'root', containerDisk: { image: 'i' } }
const scsi = (name: string): Disk => ({ name, disk: { bus: 'scsi' } })
const ROOT_DISK: Disk = { name: 'root', disk: { bus: 'sata' } }
const CD: Disk = { name: 'cd', cdrom: { bus: 'sata' } }

const specOf = (volumes: Volume[], disks: Disk[]): VmiSpec => ({ volumes, domain: { devices: { disks } } })
const guestOf = (spec: VmiSpec, busy: string[] = []) =>
  vmiOf('Running', { spec, status: { volumeStatus: busy.map((name) => ({ name, target: '' })) } })

test.each<[string, VmiSpec, VmiSpec, string[], VmiSpec]>([
  ['nothing', specOf([ROOT], [ROOT_DISK]), specOf([ROOT], [ROOT_DISK]), [], specOf([ROOT], [ROOT_DISK])],
  [
    'a new disk',
    specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('a')]),
    specOf([ROOT], [ROOT_DISK]),
    [],
    specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('a')]),
  ],
  [
    'a disk that is gone',
    specOf([ROOT], [ROOT_DISK]),
    specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('a')]),
    ['root', 'a'],
    specOf([ROOT], [ROOT_DISK]),
  ],
  [
    'another claim: the disk goes first',
    specOf([plugged('a', 'two')], [scsi('a')]),
    specOf([plugged('a', 'one')], [scsi('a')]),
    ['a'],
    specOf([], []),
  ],
  [
    'another claim, of which the guest has not let go',
    specOf([plugged('a', 'two')], [scsi('a')]),
    specOf([], []),
    ['a'],
    specOf([], []),
  ],
  [
    'another claim, of which the guest has let go',
    specOf([plugged('a', 'two')], [scsi('a')]),
    specOf([], []),
    [],
    specOf([plugged('a', 'two')], [scsi('a')]),
  ],
  [
    'a medium for a drive',
    specOf([plugged('cd')], [CD]),
    specOf([], [CD]),
    [],
    specOf([plugged('cd')], [CD]),
  ],
  ['no medium any more', specOf([], [CD]), specOf([plugged('cd')], [CD]), ['cd'], specOf([], [CD])],
  ['a drive that the guest does not have', specOf([plugged('cd')], [CD]), specOf([], []), [], specOf([], [])],
  [
    'a disk on a bus that waits for a restart',
    specOf([plugged('a')], [{ name: 'a', disk: { bus: 'sata' } }]),
    specOf([], []),
    [],
    specOf([], []),
  ],
  ['a volume that is not hotpluggable', specOf([ROOT], [scsi('root')]), specOf([], []), [], specOf([], [])],
  [
    'the volume of a memory dump stays as it is',
    specOf([], []),
    specOf([memoryDumpVolume('d')], []),
    ['d'],
    specOf([memoryDumpVolume('d')], []),
  ],
])('a running guest follows its template: %s', (_what, template, guest, busy, expected) => {
  expect(followTemplate(template, guestOf(guest, busy))).toEqual(expected)
})

const add = {
  addVolumeOptions: {
    name: 'a',
    disk: scsi('a'),
    volumeSource: { persistentVolumeClaim: { claimName: 'a' } },
  },
}
const remove = { removeVolumeOptions: { name: 'a' } }

test('requests are applied once, and known to be carried out', () => {
  const empty = specOf([], [])
  const full = specOf([plugged('a')], [scsi('a')])
  expect(applyRequest(empty, add)).toEqual(full)
  expect(applyRequest(full, add)).toBe(full)
  expect(applyRequest(full, remove)).toEqual(empty)
  expect(applyRequest(empty, remove)).toBe(empty)
  expect([isCarriedOut(full, add), isCarriedOut(empty, add)]).toEqual([true, false])
  expect([isCarriedOut(full, remove), isCarriedOut(empty, remove)]).toEqual([false, true])
})

test.each<[string, VmiSpec, VmiSpec, boolean]>([
  [
    'a disk that came',
    specOf([ROOT], [ROOT_DISK]),
    specOf([ROOT, plugged('a')], [ROOT_DISK, scsi('a')]),
    true,
  ],
  ['a disk that went', specOf([plugged('a')], [scsi('a')]), specOf([], []), true],
  ['another claim', specOf([plugged('a', 'x')], [scsi('a')]), specOf([plugged('a', 'y')], [scsi('a')]), true],
  ['a medium', specOf([], [CD]), specOf([plugged('cd')], [CD]), true],
  ['a memory dump', specOf([], []), specOf([memoryDumpVolume('d')], []), true],
  [
    'a disk that is another',
    specOf([plugged('a')], [scsi('a')]),
    specOf([plugged('a')], [{ ...scsi('a'), serial: 's' }]),
    false,
  ],
  ['a drive that came', specOf([], []), specOf([], [CD]), false],
  [
    'a disk on a bus that takes no part',
    specOf([], []),
    specOf([plugged('a')], [{ name: 'a', disk: { bus: 'sata' } }]),
    false,
  ],
  ['a permanent volume', specOf([ROOT], [ROOT_DISK]), specOf([], []), false],
])('whether it needs no restart: %s', (_what, before, after, expected) => {
  const [then, now] = withoutLiveVolumes(before, after)
  expect(JSON.stringify(then) === JSON.stringify(now)).toBe(expected)
})
