import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, unsupportedValue } from '../../lib/causes.ts'
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
export function disksAreWellFormed(spec: VmiSpec, at: FieldPath): Cause[] {
  const disks = devicesOf(spec).disks ?? []
  const list = at.child('domain', 'devices', 'disks')
  // Some of the contract's paths say the way twice.
  const twice = list.child('domain', 'devices', 'disks')
  const causes: Cause[] = []
  for (const [position, disk] of disks.entries()) {
    const field = list.index(position)
    for (let earlier = 0; earlier < position; earlier++) {
      if (disks[earlier]?.name === disk.name)
        causes.push(invalidValue(field.child('name'), `another disk is named "${disk.name}"`))
    }
    if ((disk.disk && (disk.lun || disk.cdrom)) || (disk.lun && disk.cdrom))
      causes.push(invalidValue(field, 'use one of disk, lun, cdrom'))
    if (disk.disk?.pciAddress)
      addAll(causes, checkPciAddress(disk.disk, twice.child('disk').index(position).child('pciAddress')))
    if (disk.bootOrder !== undefined && disk.bootOrder < 1)
      causes.push(invalidValue(field.child('bootOrder'), 'the first place is 1'))
    addAll(causes, checkBus(disk, field, twice.index(position)))
    if (disk.serial) addAll(causes, checkSerial(disk.serial, field.child('serial')))
    addAll(causes, checkTuning(disk, field, twice.index(position)))
    for (const problem of checkDns1123Label(textOrEmpty(disk.name)))
      causes.push(invalidValue(twice.index(position).child('name'), problem))
    if (disk.blockSize?.custom) addAll(causes, checkBlockSize(disk, field.child('blockSize')))
  }
  return causes
}

function checkPciAddress({ bus, pciAddress = '' }: NonNullable<Disk['disk']>, field: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (bus !== 'virtio') causes.push(invalidValue(field, 'only a disk on the virtio bus has a PCI address'))
  if (!isPciAddress(pciAddress)) causes.push(invalidValue(field, `"${pciAddress}" is no PCI address`))
  return causes
}

function checkBus(disk: Disk, field: FieldPath, twice: FieldPath): Cause[] {
  const { type, bus } = targetOf(disk)
  const at = field.child(type, 'bus')
  const causes: Cause[] = []
  if (bus === 'ide') causes.push(invalidValue(at, 'ide is not supported: use sata'))
  if (bus === 'virtio' && type === 'cdrom')
    causes.push(invalidValue(at, 'a CD drive cannot be on virtio: use sata or scsi'))
  if (bus === 'sata' && disk.disk?.readonly)
    causes.push(invalidValue(at, 'a disk on sata cannot be read-only: use virtio or scsi'))
  if (bus && !BUSES.includes(bus)) causes.push(invalidValue(at, `"${bus}" is none of ${BUSES.join(', ')}`))
  if (bus && bus !== 'virtio' && disk.dedicatedIOThread)
    causes.push(unsupportedValue(twice, 'dedicatedIOThread needs the virtio bus'))
  return causes
}

function checkSerial(serial: string, field: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (!/^[A-Za-z0-9_.+-]+$/.test(serial)) causes.push(invalidValue(field, 'use letters, digits, _ . + and -'))
  if (Array.from(serial).length > SERIAL_LENGTH)
    causes.push(invalidValue(field, `use at most ${SERIAL_LENGTH} characters`))
  return causes
}

function checkTuning(
  { cache = '', io = '', errorPolicy }: Disk,
  field: FieldPath,
  twice: FieldPath,
): Cause[] {
  const causes: Cause[] = []
  if (!CACHES.includes(cache))
    causes.push(invalidValue(field.child('cache'), `"${cache}" is none of none, writethrough, writeback`))
  if (!IO_MODES.includes(io))
    causes.push(unsupportedValue(twice.child('io'), `"${io}" is neither native nor threads`))
  if (errorPolicy !== undefined && !ERROR_POLICIES.includes(errorPolicy)) {
    causes.push(
      invalidValue(field.child('errorPolicy'), `"${errorPolicy}" is none of ${ERROR_POLICIES.join(', ')}`),
    )
  }
  return causes
}

function checkBlockSize(disk: Disk, field: FieldPath): Cause[] {
  const { custom, matchVolume } = disk.blockSize ?? {}
  if (!custom) return []
  if (matchVolume && matchVolume.enabled !== false) {
    return [invalidValue(field, 'use either custom or matchVolume')]
  }
  const causes: Cause[] = []
  const { logical = 0, physical = 0, discardGranularity } = custom
  const at = field.child('custom')
  if (logical > physical) causes.push(invalidValue(at.child('logical'), 'must not be larger than physical'))
  else if (targetOf(disk).bus === 'sata' && logical !== 512)
    causes.push(invalidValue(at.child('logical'), 'sata takes 512 only'))
  else if (discardGranularity !== undefined && logical !== 0 && discardGranularity % logical !== 0) {
    causes.push(invalidValue(at.child('discardGranularity'), 'must be a multiple of logical'))
  } else {
    addAll(causes, checkBlock(logical, at.child('logical')))
    addAll(causes, checkBlock(physical, at.child('physical')))
  }
  return causes
}

function checkBlock(size: number, field: FieldPath): Cause[] {
  if (size < 512) return [invalidValue(field, `${size} is less than 512`)]
  if (size > LARGEST_BLOCK) return [invalidValue(field, `${size} is more than ${LARGEST_BLOCK}`)]
  if (!Number.isInteger(Math.log2(size))) return [invalidValue(field, `${size} is no power of two`)]
  return []
}
