import type { MachinePlan } from '../plan.ts'
import { buildBlockNode, nodeNamesOf } from './block-nodes.ts'
import type { DeviceArgs } from './command-line.ts'
import { commonPropertiesOf, resolveDisk, scsiDriver, scsiPlace } from './disks.ts'
import { nodeOptionsOf } from './disk-options.ts'
import { invalidConfig, unsupportedDevice } from './error.ts'
import { DEVICES } from './spec.ts'

/** Where a plugged disk goes: a free root port of the guest's, or an address on its SCSI controller. */
export type PlugPlace = { port: string } | { lun: number }

/** A disk as QEMU is told to add it to a running guest. */
export interface PluggedDisk {
  /** For `blockdev-add`. */
  node: object
  /** What `node` is called. */
  nodeName: string
  /** An I/O thread of its own, to be made first, for `object-add`. */
  ioThread?: { 'qom-type': 'iothread'; id: string }
  /** For `device_add`. */
  device: DeviceArgs & { id: string }
}

/** What the plug is made from: the spec as it is wanted now, and the files of the volume. */
export type PlugPlan = Pick<MachinePlan, 'spec' | 'disks' | 'deviceTypes'>

const DISKS = DEVICES.child('disks')

/** The block node of a volume whose files are in `plan.disks`: what a drive is given as its medium. */
export function buildMediumNode(plan: PlugPlan, name: string): { node: object; nodeName: string } {
  const { disk, file } = find(plan, name)
  return {
    node: buildBlockNode(file, nodeOptionsOf({ ...disk, file }, disk.readOnly)),
    nodeName: nodeNamesOf(name).format,
  }
}

/** Which bus a disk is to be plugged into. Throws `UnsupportedDevice` where it cannot be. */
export function plugBusOf(plan: PlugPlan, name: string): 'virtio' | 'scsi' {
  const { disk } = find(plan, name)
  if (disk.bus !== 'virtio' && disk.bus !== 'scsi') {
    throw unsupportedDevice(
      disk.at,
      `a disk on the bus ${disk.bus} cannot be added to a running guest: use scsi`,
    )
  }
  if (disk.bus === 'virtio' && plan.spec.domain.devices.useVirtioTransitional) {
    throw unsupportedDevice(
      disk.at,
      'a transitional disk cannot be added to a running guest: use the bus scsi',
    )
  }
  return disk.bus
}

/**
 * A disk of the spec as QEMU is told to add it. I/O threads of the guest's pool are dealt out when it starts; a disk
 * that comes later has none, unless one of its own is asked for. Throws `GuestConfigError`.
 */
export function buildPluggedDisk(plan: PlugPlan, name: string, place: PlugPlace): PluggedDisk {
  const { disk } = find(plan, name)
  const { spec, id, kind } = disk
  const common = commonPropertiesOf(disk, spec.bootOrder)
  const medium = buildMediumNode(plan, name)
  if ('lun' in place) {
    const device = { driver: scsiDriver(kind), ...common, id, ...scsiPlace(kind, id, place.lun) }
    return { ...medium, device: checked(plan, device) }
  }
  const ioThread = spec.dedicatedIOThread ? ioThreadOf(id) : undefined
  const device = {
    driver: 'virtio-blk-pci',
    ...common,
    id,
    bus: place.port,
    ...(ioThread && { iothread: ioThread.id }),
  }
  return { ...medium, ...(ioThread && { ioThread }), device: checked(plan, device) }
}

/** The I/O thread of a plugged disk's own. */
export function ioThreadOf(id: string): NonNullable<PluggedDisk['ioThread']> {
  return { 'qom-type': 'iothread', id: `iot-${id}` }
}

function find(plan: PlugPlan, name: string) {
  const index = plan.spec.domain.devices.disks?.findIndex((disk) => disk.name === name) ?? -1
  const spec = plan.spec.domain.devices.disks?.[index]
  if (!spec) throw invalidConfig(DISKS, `no disk uses the volume ${name}: add one of that name`)
  const disk = resolveDisk({ plan }, spec, DISKS.index(index))
  if (!disk.file) throw invalidConfig(disk.at, `the disk ${name} has no volume: add one of that name`)
  return { disk, file: disk.file }
}

function checked<T extends DeviceArgs>({ deviceTypes }: PlugPlan, device: T): T {
  if (!deviceTypes || deviceTypes.includes(device.driver)) return device
  throw unsupportedDevice(DISKS, `this node's QEMU has no device ${device.driver}: use another bus`)
}
