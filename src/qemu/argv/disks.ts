import type { FieldPath } from '../../lib/field-path.ts'
import type { DiskFile, MachinePlan } from '../plan.ts'
import { buildBlockNode, nodeNamesOf } from './block-nodes.ts'
import { type Build, virtioDriver, virtioPlace } from './build.ts'
import { devicePropertiesOf, nodeOptionsOf } from './disk-options.ts'
import { invalidConfig, resourceMissing, unsupportedDevice } from './error.ts'
import { addIoThreads, type IoThreads } from './io-threads.ts'
import { assignLuns } from './luns.ts'
import { sataPlace } from './sata.ts'
import { DEVICES, deviceId, type DiskSpec, oneOf, SPEC } from './spec.ts'

const DISKS = DEVICES.child('disks')
/** The controller that every guest has, so that disks can be plugged into it. */
export const CONTROLLER = 'scsi0'

type Kind = 'disk' | 'cdrom' | 'lun'

/** One disk on its way to QEMU. */
export interface Disk {
  spec: DiskSpec
  at: FieldPath
  id: string
  kind: Kind
  bus: 'virtio' | 'sata' | 'scsi' | 'usb'
  /** Absent for a drive without a medium. */
  file?: DiskFile
  readOnly: boolean
}

/** Buses that each kind of disk can be on. */
const BUSES = { disk: ['virtio', 'sata', 'scsi', 'usb'], cdrom: ['sata', 'scsi'], lun: ['scsi'] } as const

/** The guest's disks and their controllers, in the order of the spec. */
export function addDisks(build: Build): void {
  const { plan, line } = build
  const { disks: specs = [], disableHotplug } = plan.spec.domain.devices
  const disks = specs.map((spec, index) => resolveDisk(build, spec, DISKS.index(index)))
  checkVolumes(build)
  const threads = addIoThreads(build)
  if (!disableHotplug || disks.some(({ bus }) => bus === 'scsi')) addController(build, threads)
  const scsiDisks = disks.filter(({ bus }) => bus === 'scsi').map(({ id }) => id)
  for (const [id, lun] of assignLuns(scsiDisks, plan.slots)) build.luns.set(id, lun)
  let sataCount = 0
  for (const disk of disks) {
    if (disk.file)
      line.json(
        '-blockdev',
        buildBlockNode(disk.file, nodeOptionsOf({ ...disk, file: disk.file }, disk.readOnly)),
      )
    addDevice(build, disk, threads, disk.bus === 'sata' ? sataCount++ : 0)
  }
}

/** What a disk of the spec is to be. Throws `GuestConfigError` where it cannot be that. */
export function resolveDisk(
  { plan }: { plan: Pick<MachinePlan, 'disks' | 'spec'> },
  spec: DiskSpec,
  at: FieldPath,
): Disk {
  const kinds = (['disk', 'cdrom', 'lun'] as const).filter((kind) => spec[kind] !== undefined)
  if (kinds.length > 1) throw invalidConfig(at, `is ${kinds.join(' and ')} at once: keep one`)
  const kind = kinds[0] ?? 'disk'
  const target = spec[kind]
  const field = at.child(kind)
  const bus = busOf(kind, target?.bus, field.child('bus'))
  const file = plan.disks.find(({ name }) => name === spec.name)
  const hasVolume = plan.spec.volumes?.some(({ name }) => name === spec.name)
  if (!file && (kind !== 'cdrom' || hasVolume)) {
    throw invalidConfig(
      at.child('name'),
      `there is no volume ${spec.name} that can be a disk: add it to spec.volumes, or remove the disk`,
    )
  }
  const disk = { spec, at, id: deviceId(spec.name, at.child('name')), kind, bus, ...(file && { file }) }
  if (oneOf(spec.cdrom?.tray, ['closed', 'open'], 'closed', field.child('tray')) === 'open')
    throw unsupportedDevice(field.child('tray'), 'a drive starts with its tray closed: remove the field')
  const readOnly = kind === 'cdrom' || target?.readonly === true || file?.readOnly === true
  if (kind === 'lun') checkLun(disk)
  if (kind === 'disk' && bus === 'sata' && readOnly) {
    throw unsupportedDevice(
      at,
      'a disk on the bus sata cannot be read-only: use bus virtio or scsi, or make it a cdrom',
    )
  }
  return { ...disk, readOnly }
}

function busOf(kind: Kind, bus: string | undefined, at: FieldPath): Disk['bus'] {
  const known = oneOf(bus, BUSES.disk, kind === 'lun' ? 'scsi' : 'sata', at)
  if ((BUSES[kind] as readonly string[]).includes(known)) return known
  throw unsupportedDevice(at, `there is no ${kind} on the bus ${known}: use ${BUSES[kind].join(' or ')}`)
}

function checkLun({ spec, at, file }: Pick<Disk, 'spec' | 'at' | 'file'>): void {
  const field = at.child('lun')
  if (spec.lun?.reservation)
    throw resourceMissing(
      field.child('reservation'),
      'this node has no helper for persistent reservations: remove the field',
    )
  if (file?.blockDevice && file.format === 'raw') return
  throw unsupportedDevice(
    field,
    'a lun hands SCSI commands to a block device of the host, and this volume is a file: use disk',
  )
}

/** Nothing is left out: what was prepared is attached. */
function checkVolumes({ plan }: Build): void {
  const { disks = [] } = plan.spec.domain.devices
  const unused = plan.disks.find((file) => !disks.some(({ name }) => name === file.name))
  if (!unused) return
  const index = (plan.spec.volumes ?? []).findIndex(({ name }) => name === unused.name)
  throw invalidConfig(
    SPEC.child('volumes').index(index),
    `no disk uses the volume ${unused.name}: add one with that name, or remove the volume`,
  )
}

/** There from the start, as disks may come to it while the guest runs. */
function addController(build: Build, threads: IoThreads): void {
  build.line.device(DISKS, {
    driver: virtioDriver(build, 'scsi'),
    id: CONTROLLER,
    ...virtioPlace(build, CONTROLLER, DISKS),
    ...threads.controller(),
  })
}

/** What every device of a disk is told, whatever bus it is on. */
export function commonPropertiesOf(
  { spec, at, id, file, kind }: Disk,
  bootindex: number | undefined,
): object {
  return {
    id,
    ...(file && { drive: nodeNamesOf(file.name).format }),
    ...(bootindex !== undefined && { bootindex }),
    // A lun hands the device's own answers to the guest: there is nothing to set.
    ...(file && kind !== 'lun' && devicePropertiesOf({ spec, at, file })),
  }
}

function addDevice(build: Build, disk: Disk, threads: IoThreads, sataIndex: number): void {
  const { line, bootIndexes, plan, vcpus, luns } = build
  const { spec, at, id, bus, kind } = disk
  const common = commonPropertiesOf(disk, bootIndexes.get(id))
  if (bus === 'virtio') {
    const hasQueues = plan.spec.domain.devices.blockMultiQueue && !plan.plugged?.includes(id)
    const queues = hasQueues ? { 'num-queues': vcpus } : {}
    const place = virtioPlace(build, id, at)
    line.device(at, {
      driver: virtioDriver(build, 'blk'),
      ...common,
      ...place,
      ...queues,
      ...threads.of(spec),
    })
  } else if (bus === 'sata') {
    line.device(at, {
      driver: kind === 'cdrom' ? 'ide-cd' : 'ide-hd',
      ...common,
      bus: sataPlace(build, sataIndex, at),
    })
  } else if (bus === 'scsi') {
    line.device(at, { driver: scsiDriver(kind), ...common, ...scsiPlace(kind, id, luns.get(id) ?? 0) })
  } else {
    line.device(at, { driver: 'usb-storage', ...common, bus: 'usb.0', removable: false })
  }
}

/** The device that shows a disk on the SCSI controller. */
export function scsiDriver(kind: Kind): string {
  return { disk: 'scsi-hd', cdrom: 'scsi-cd', lun: 'scsi-block' }[kind]
}

/** Where that device sits, and the name by which the guest knows it again. */
export function scsiPlace(kind: Kind, id: string, lun: number): object {
  const place = { bus: `${CONTROLLER}.0`, channel: 0, 'scsi-id': 0, lun }
  // By this the guest knows the disk again; a lun has an answer of its own.
  return kind === 'lun' ? place : { ...place, device_id: `drive-${id}` }
}
