import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { checkDns1123Label } from '../../lib/names.ts'
import { isPciAddress } from './addresses.ts'
import { devicesOf, textOrEmpty, type Disk } from './rule.ts'

const BUSES = ['ide', 'virtio', 'sata', 'scsi', 'usb']
const CACHES = ['', 'none', 'writethrough', 'writeback']
const IO_MODES = ['', 'native', 'threads']
const ERROR_POLICIES = ['stop', 'ignore', 'report', 'enospace']
const SERIAL_LENGTH = 256
const LARGEST_BLOCK = 2 * 1024 * 1024

/** How a disk shows itself: the first of the three that is given. */
function targetOf({ disk, lun, cdrom }: Disk): { type: 'disk' | 'lun' | 'cdrom'; bus: string } {
  if (disk) return { type: 'disk', bus: disk.bus ?? '' }
  if (lun) return { type: 'lun', bus: lun.bus ?? '' }
  return { type: 'cdrom', bus: cdrom?.bus ?? '' }
}

/** Disks are named apart, on a bus that exists, and set up with values that do. Contract: VMI-DISK-001 … 023. */
export function* disksAreWellFormed(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  const disks = devicesOf(spec).disks ?? []
  const list = at.child('domain', 'devices', 'disks')
  // Some of the contract's paths say the way twice.
  const twice = list.child('domain', 'devices', 'disks')
  for (const [position, disk] of disks.entries()) {
    const field = list.index(position)
    for (let earlier = 0; earlier < position; earlier++) {
      if (disks[earlier]?.name === disk.name)
        yield invalidValue(field.child('name'), `another disk is named "${disk.name}"`)
    }
    if ((disk.disk && (disk.lun || disk.cdrom)) || (disk.lun && disk.cdrom))
      yield invalidValue(field, 'use one of disk, lun, cdrom')
    if (disk.disk?.pciAddress)
      yield* checkPciAddress(disk.disk, twice.child('disk').index(position).child('pciAddress'))
    if (disk.bootOrder !== undefined && disk.bootOrder < 1)
      yield invalidValue(field.child('bootOrder'), 'the first place is 1')
    yield* checkBus(disk, field, twice.index(position))
    if (disk.serial) yield* checkSerial(disk.serial, field.child('serial'))
    yield* checkTuning(disk, field, twice.index(position))
    for (const problem of checkDns1123Label(textOrEmpty(disk.name)))
      yield invalidValue(twice.index(position).child('name'), problem)
    if (disk.blockSize?.custom) yield* checkBlockSize(disk, field.child('blockSize'))
  }
}

function* checkPciAddress(
  { bus, pciAddress = '' }: NonNullable<Disk['disk']>,
  field: FieldPath,
): Iterable<Cause> {
  if (bus !== 'virtio') yield invalidValue(field, 'only a disk on the virtio bus has a PCI address')
  if (!isPciAddress(pciAddress)) yield invalidValue(field, `"${pciAddress}" is no PCI address`)
}

function* checkBus(disk: Disk, field: FieldPath, twice: FieldPath): Iterable<Cause> {
  const { type, bus } = targetOf(disk)
  const at = field.child(type, 'bus')
  if (bus === 'ide') yield invalidValue(at, 'ide is not supported: use sata')
  if (bus === 'virtio' && type === 'cdrom')
    yield invalidValue(at, 'a CD drive cannot be on virtio: use sata or scsi')
  if (bus === 'sata' && disk.disk?.readonly)
    yield invalidValue(at, 'a disk on sata cannot be read-only: use virtio or scsi')
  if (bus && !BUSES.includes(bus)) yield invalidValue(at, `"${bus}" is none of ${BUSES.join(', ')}`)
  if (bus && bus !== 'virtio' && disk.dedicatedIOThread)
    yield unsupportedValue(twice, 'dedicatedIOThread needs the virtio bus')
}

function* checkSerial(serial: string, field: FieldPath): Iterable<Cause> {
  if (!/^[A-Za-z0-9_.+-]+$/.test(serial)) yield invalidValue(field, 'use letters, digits, _ . + and -')
  if (Array.from(serial).length > SERIAL_LENGTH)
    yield invalidValue(field, `use at most ${SERIAL_LENGTH} characters`)
}

function* checkTuning(
  { cache = '', io = '', errorPolicy }: Disk,
  field: FieldPath,
  twice: FieldPath,
): Iterable<Cause> {
  if (!CACHES.includes(cache))
    yield invalidValue(field.child('cache'), `"${cache}" is none of none, writethrough, writeback`)
  if (!IO_MODES.includes(io))
    yield unsupportedValue(twice.child('io'), `"${io}" is neither native nor threads`)
  if (errorPolicy !== undefined && !ERROR_POLICIES.includes(errorPolicy)) {
    yield invalidValue(field.child('errorPolicy'), `"${errorPolicy}" is none of ${ERROR_POLICIES.join(', ')}`)
  }
}

function* checkBlockSize(disk: Disk, field: FieldPath): Iterable<Cause> {
  const { custom, matchVolume } = disk.blockSize ?? {}
  if (!custom) return
  if (matchVolume && matchVolume.enabled !== false) {
    yield invalidValue(field, 'use either custom or matchVolume')
    return
  }
  const { logical = 0, physical = 0, discardGranularity } = custom
  const at = field.child('custom')
  if (logical > physical) yield invalidValue(at.child('logical'), 'must not be larger than physical')
  else if (targetOf(disk).bus === 'sata' && logical !== 512)
    yield invalidValue(at.child('logical'), 'sata takes 512 only')
  else if (discardGranularity !== undefined && logical !== 0 && discardGranularity % logical !== 0) {
    yield invalidValue(at.child('discardGranularity'), 'must be a multiple of logical')
  } else {
    yield* checkBlock(logical, at.child('logical'))
    yield* checkBlock(physical, at.child('physical'))
  }
}

function* checkBlock(size: number, field: FieldPath): Iterable<Cause> {
  if (size < 512) yield invalidValue(field, `${size} is less than 512`)
  else if (size > LARGEST_BLOCK) yield invalidValue(field, `${size} is more than ${LARGEST_BLOCK}`)
  else if (!Number.isInteger(Math.log2(size))) yield invalidValue(field, `${size} is no power of two`)
}
