import { lunOfSlot } from '../../qemu/argv/luns.ts'
import { isRecord } from '../../lib/json.ts'
import type { Machine } from '../guest/machine.ts'

/** What is asked of QEMU here. */
export type Monitor = Pick<Machine, 'command'>

/** A disk that the guest has, as QEMU says. */
export interface DiskDevice {
  /** `ua-` and the name of the disk. */
  id: string
  /** Such as `scsi-hd` or `virtio-blk-pci`. */
  driver: string
}

/** A block node of a volume. */
export interface BlockNode {
  /** The file that it stands on, as QEMU was told. */
  file: string | undefined
  sizeBytes: number
}

/** The disks of a running guest and what they stand on: read from QEMU each time, so that nothing can be forgotten. */
export interface Hardware {
  disks: Map<string, DiskDevice>
  /** Format nodes of volumes, by name. */
  nodes: Map<string, BlockNode>
  /** Device id → node of the medium that its drive holds, `undefined` for an empty one. */
  media: Map<string, string | undefined>
}

const PREFIX = 'ua-'
const PERIPHERAL = '/machine/peripheral'
const DISK_DRIVERS = /^(scsi-(hd|cd|block)|ide-(hd|cd)|usb-storage|virtio-blk-pci(-transitional)?)$/
const FORMAT_NODE = /^v[0-9a-f]{8}-fmt$/
const CHILD = /^child<(.+)>$/

interface Property {
  name: string
  type: string
}

/** Devices that have an id, as QOM lists them. */
async function readPeripherals(monitor: Monitor): Promise<DiskDevice[]> {
  const properties = await monitor.command<Property[]>('qom-list', { path: PERIPHERAL })
  return properties.flatMap(({ name, type }) => {
    const driver = CHILD.exec(type)?.[1]
    return driver === undefined ? [] : [{ id: name, driver }]
  })
}

/** Reads what disks, nodes and media there are. Throws as `Machine.command`. */
export async function readHardware(monitor: Monitor): Promise<Hardware> {
  const peripherals = await readPeripherals(monitor)
  const disks = peripherals.filter(({ id, driver }) => id.startsWith(PREFIX) && DISK_DRIVERS.test(driver))
  const nodes = await monitor.command<unknown[]>('query-named-block-nodes', { flat: true })
  const drives = await monitor.command<unknown[]>('query-block')
  return {
    disks: new Map(disks.map((disk) => [disk.id, disk])),
    nodes: new Map(nodes.flatMap(nodeOf)),
    media: new Map(drives.flatMap(mediumOf)),
  }
}

function nodeOf(entry: unknown): [string, BlockNode][] {
  if (!isRecord(entry)) return []
  const { 'node-name': name, file, image } = entry
  if (typeof name !== 'string' || !FORMAT_NODE.test(name)) return []
  const size = isRecord(image) ? Number(image['virtual-size']) : 0
  return [[name, { file: typeof file === 'string' ? file : undefined, sizeBytes: size }]]
}

/** A device with an id is named by that; a virtio one by the path of its inner half. */
function mediumOf(entry: unknown): [string, string | undefined][] {
  if (!isRecord(entry) || typeof entry['qdev'] !== 'string') return []
  const id = entry['qdev'].replace(`${PERIPHERAL}/`, '').split('/')[0] ?? ''
  const { inserted } = entry
  const node = isRecord(inserted) ? inserted['node-name'] : undefined
  return [[id, typeof node === 'string' ? node : undefined]]
}

/** Where devices can be plugged in. */
export interface Places {
  /** Free root ports, the highest last. */
  ports: string[]
  /** Addresses on the SCSI controller that are taken. */
  luns: Set<number>
}

const ROOT_PORT = /^rp\d+$/

/** Reads which places are free. Throws as `Machine.command`. */
export async function readPlaces(monitor: Monitor): Promise<Places> {
  const peripherals = await readPeripherals(monitor)
  const taken = new Set<string>()
  const luns = new Set<number>()
  for (const { id, driver } of peripherals) {
    if (ROOT_PORT.test(id)) continue
    if (driver.startsWith('scsi-')) {
      luns.add(Number(await monitor.command('qom-get', { path: `${PERIPHERAL}/${id}`, property: 'lun' })))
      continue
    }
    // `/machine/peripheral/rp3/rp3` is the bus behind the port rp3.
    const bus = await parentBusOf(monitor, id)
    taken.add(bus?.split('/').at(-1) ?? '')
  }
  const ports = peripherals.map(({ id }) => id).filter((id) => ROOT_PORT.test(id) && !taken.has(id))
  return { ports: ports.toSorted((left, right) => Number(left.slice(2)) - Number(right.slice(2))), luns }
}

async function parentBusOf(monitor: Monitor, id: string): Promise<string | undefined> {
  const path = `${PERIPHERAL}/${id}`
  const properties = await monitor.command<Property[]>('qom-list', { path })
  if (!properties.some(({ name }) => name === 'parent_bus')) return undefined
  return String(await monitor.command('qom-get', { path, property: 'parent_bus' }))
}

/** The places that the record keeps for other devices are not free, even where these are not there now. */
export function withoutKept(
  { ports, luns }: Places,
  slots: Readonly<Record<string, string>>,
  id: string,
): Places {
  const kept = Object.entries(slots).flatMap(([other, slot]) => (other === id ? [] : [slot]))
  const keptLuns = kept.flatMap((slot) => lunOfSlot(slot) ?? [])
  return { ports: ports.filter((port) => !kept.includes(port)), luns: new Set([...luns, ...keptLuns]) }
}

/** Id of the device of a disk. */
export function idOf(name: string): string {
  return `${PREFIX}${name}`
}

/** Name of the disk that a device is. */
export function nameOf(id: string): string {
  return id.slice(PREFIX.length)
}

/** Whether a migration has QEMU's devices tied down: none may be added or removed then. Source: contract 2.7. */
export async function isMigrating(monitor: Monitor): Promise<boolean> {
  const { status } = await monitor.command<{ status?: string }>('query-migrate')
  return status !== undefined && !['none', 'completed', 'failed', 'cancelled'].includes(status)
}
