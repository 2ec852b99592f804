import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import type { Disk } from '../spec/rule.ts'

/** A disk that is to come to a running guest, as it was asked for. */
export type HotplugDisk = Partial<Disk>

/** Whatever disk is meant, clients see the second. */
const BOOT_ORDER = 'spec.domain.devices.disks[1].bootOrder'

/** A disk that is to come to a running guest can; at most one cause. Contract: HPD-001 … 006. */
export function pluggedDiskIsWellFormed(disk: HotplugDisk | undefined, at: FieldPath | string): Cause[] {
  const fault = faultOf(disk, at)
  return fault ? [fault] : []
}

function faultOf(disk: HotplugDisk | undefined, at: FieldPath | string): Cause | undefined {
  if (!disk) return invalidValue(at, 'a hotplugged volume needs a disk')
  const { dedicatedIOThread, bootOrder = 1 } = disk
  const fault = targetFault(disk)
  if (fault) return invalidValue(at, fault)
  if (dedicatedIOThread && (disk.disk ?? disk.lun)?.bus !== 'virtio') {
    return invalidValue(at, `${named(disk)} can have an I/O thread of its own on the bus virtio only`)
  }
  return bootOrder < 1 ? invalidValue(BOOT_ORDER, 'the first place is 1') : undefined
}

function targetFault(disk: HotplugDisk): string | undefined {
  if (disk.disk) {
    const bus = disk.disk.bus ?? ''
    const isPluggable = bus === 'scsi' || bus === 'virtio'
    return isPluggable ? undefined : `${named(disk)} is on the bus "${bus}": use scsi or virtio`
  }
  if (disk.lun) return disk.lun.bus === 'scsi' ? undefined : `${named(disk)} is a lun: use the bus scsi`
  return `${named(disk)} has to be a disk or a lun: drives are there from the start`
}

function named({ name = '' }: HotplugDisk): string {
  return `hotplugged disk "${name}"`
}
