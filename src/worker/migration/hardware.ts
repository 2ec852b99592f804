import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { parsePairs } from '../../qemu/argv/command-line.ts'
import { readMemorySize } from '../../qemu/argv/memory.ts'

/** Options of which a guest sees something. Paths, sockets and block nodes are the host's own business. */
const VISIBLE: ReadonlySet<string> = new Set([
  '-machine',
  '-cpu',
  '-smp',
  '-m',
  '-global',
  '-device',
  '-uuid',
  '-smbios',
])

const ROOT_PORT = '"driver":"pcie-root-port"'

/** One option and its value, of those a guest sees. */
export type Visible = [option: string, value: string]

/** What of a command line the guest sees. Both ends of a migration must have the same. */
export function hardwareOf(argv: readonly string[]): Visible[] {
  return argv.flatMap((option, index): Visible[] => {
    const value = argv[index + 1]
    return VISIBLE.has(option) && value !== undefined ? [[option, normalize(option, value)]] : []
  })
}

/** A device that was added to the running guest, as one it was started with. */
export function visibleDevice(device: object): Visible {
  return ['-device', normalize('-device', JSON.stringify(device))]
}

/** Which thread of the host serves a device is none of the guest's business, nor is the order of properties. */
function normalize(option: string, value: string): string {
  const device: unknown = option === '-device' && value.startsWith('{') ? JSON.parse(value) : undefined
  if (!isRecord(device)) return value
  const { iothread: _iothread, ...visible } = device
  return JSON.stringify(Object.fromEntries(Object.entries(visible).sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** Id of the device that an option makes; `undefined` where it makes none, or one without. */
export function deviceIdOf([option, value]: Visible): string | undefined {
  const device: unknown = option === '-device' && value.startsWith('{') ? JSON.parse(value) : undefined
  return isRecord(device) && typeof device.id === 'string' ? device.id : undefined
}

/** How many root ports the guest has: spare ones among them. */
export function countRootPorts(hardware: readonly Visible[]): number {
  return hardware.filter(([option, value]) => option === '-device' && value.includes(ROOT_PORT)).length
}

/** What one side has and the other has not, for people; `undefined` where both are the same. */
export function differenceOf(source: readonly Visible[], target: readonly Visible[]): string | undefined {
  const here = new Set(target.map(join))
  const there = new Set(source.map(join))
  const missing = source.map(join).find((one) => !here.has(one))
  const extra = target.map(join).find((one) => !there.has(one))
  if (missing === undefined && extra === undefined) return undefined
  return `the source has ${missing ?? 'nothing'}, this node would make ${extra ?? 'nothing'} of it`
}

function join([option, value]: Visible): string {
  return `${option} ${value}`
}

/** CPUs and memory that a guest was started with. */
export interface Topology {
  sockets: number
  cores: number
  threads: number
  maxSockets: number
  memoryBytes: number
  /** Absent where no memory can be added. */
  maxMemoryBytes?: number
}

const MIB = 1024 ** 2

/** CPUs and memory, from what `buildArgv` wrote. */
export function topologyOf(hardware: readonly Visible[]): Topology {
  const smp = pairsOf(hardware, '-smp')
  const memory = pairsOf(hardware, '-m')
  const cores = Number(smp.cores)
  const threads = Number(smp.threads)
  const maxMib = Number.parseInt(memory.maxmem ?? '', 10)
  return {
    sockets: Number(smp.cpus) / (cores * threads),
    cores,
    threads,
    maxSockets: Number(smp.sockets),
    memoryBytes: readMemorySize(memory.size) ?? Number.NaN,
    ...(maxMib > 0 && { maxMemoryBytes: maxMib * MIB }),
  }
}

/** Network card's id → hardware address. */
export function macsOf(hardware: readonly Visible[]): Record<string, string> {
  const cards = hardware.flatMap(([option, value]): JsonRecord[] => {
    const device: unknown = option === '-device' ? JSON.parse(value) : undefined
    return isRecord(device) && typeof device.mac === 'string' ? [device] : []
  })
  return Object.fromEntries(cards.map(({ id, mac }) => [String(id), String(mac)]))
}

/** The options read here have no comma in a value. */
function pairsOf(hardware: readonly Visible[], option: string): Record<string, string> {
  return parsePairs(hardware.find(([name]) => name === option)?.[1] ?? '')
}
