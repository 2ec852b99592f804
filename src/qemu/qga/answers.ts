import { isIP } from 'node:net'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { cleanText } from './text.ts'

/**
 * What the answers of an agent mean. Every byte of them is the guest's: whatever is not as documented is left out, lists
 * end at their limit, texts are cleaned. Source: security F5; https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
 */

const INTERFACES = 64
const ADDRESSES = 64
/** Of all interfaces together: they stand in an object that others read. */
const ALL_ADDRESSES = 256
const FILESYSTEMS = 256
const BACKING_DISKS = 16
const USERS = 256
const COMMANDS = 512
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** What an agent says of itself. */
export interface AgentVersion {
  version?: string
  commands: { name: string; enabled?: boolean }[]
}

/** Facts about the operating system; absent ones are empty in the answer. */
export type OsInfo = Partial<
  Record<
    'name' | 'kernelRelease' | 'version' | 'prettyName' | 'versionId' | 'kernelVersion' | 'machine' | 'id',
    string
  >
>

/** A user who is logged in; seconds since 1970. */
export interface AgentUser {
  userName: string
  domain?: string
  loginTime?: number
}

/** A file system that is mounted. */
export interface AgentFileSystem {
  diskName: string
  mountPoint: string
  fileSystemType: string
  usedBytes: number
  totalBytes: number
  disk?: { serial?: string; busType: string }[]
}

/** A network card as the guest sees it. Its addresses are claims: nothing may be sent to them on their strength. */
export interface AgentInterface {
  name: string
  /** Lower case, with colons. */
  mac?: string
  /** As IP addresses are written, without loopback and multicast ones. */
  addresses: string[]
}

/** `guest-info`. */
export function readVersion(answer: unknown): AgentVersion {
  const found = recordOf(answer)
  const version = textOf(found.version)
  const commands = listOf(found.supported_commands, COMMANDS).flatMap((entry) => {
    const name = textOf(entry.name)
    const { enabled } = entry
    return name === undefined ? [] : [{ name, ...(typeof enabled === 'boolean' && { enabled }) }]
  })
  return { ...(version !== undefined && { version }), commands }
}

const OS_FIELDS = {
  name: 'name',
  'kernel-release': 'kernelRelease',
  version: 'version',
  'pretty-name': 'prettyName',
  'version-id': 'versionId',
  'kernel-version': 'kernelVersion',
  machine: 'machine',
  id: 'id',
} as const

/** `guest-get-osinfo`. */
export function readOsInfo(answer: unknown): OsInfo {
  const found = recordOf(answer)
  const info: OsInfo = {}
  for (const [from, to] of Object.entries(OS_FIELDS)) {
    const text = textOf(found[from])
    if (text !== undefined) info[to] = text
  }
  return info
}

/** `guest-get-host-name`. */
export function readHostname(answer: unknown): string | undefined {
  return textOf(recordOf(answer)['host-name'])
}

/** `guest-get-timezone`: zone name, comma, blank, seconds from UTC. Source: contract 5.1. */
export function readTimezone(answer: unknown): string | undefined {
  const { zone, offset } = recordOf(answer)
  const seconds = typeof offset === 'number' && Number.isSafeInteger(offset) ? offset : undefined
  if (seconds === undefined) return textOf(zone)
  return `${textOf(zone) ?? ''}, ${seconds}`
}

/** `guest-get-users`. */
export function readUsers(answer: unknown): AgentUser[] {
  return listOf(answer, USERS).flatMap((entry) => {
    const userName = textOf(entry.user)
    if (userName === undefined) return []
    const domain = textOf(entry.domain)
    const loginTime = amountOf(entry['login-time'])
    return [
      {
        userName,
        ...(domain !== undefined && { domain }),
        ...(loginTime !== undefined && { loginTime }),
      },
    ]
  })
}

/** `guest-get-fsinfo`. */
export function readFileSystems(answer: unknown): AgentFileSystem[] {
  return listOf(answer, FILESYSTEMS).flatMap((entry) => {
    const mountPoint = textOf(entry.mountpoint)
    if (mountPoint === undefined) return []
    const disk = listOf(entry.disk, BACKING_DISKS).flatMap(readDisk)
    return [
      {
        diskName: textOf(entry.name) ?? '',
        mountPoint,
        fileSystemType: textOf(entry.type) ?? '',
        usedBytes: Math.floor(amountOf(entry['used-bytes']) ?? 0),
        totalBytes: Math.floor(amountOf(entry['total-bytes']) ?? 0),
        ...(disk.length > 0 && { disk }),
      },
    ]
  })
}

function readDisk(entry: JsonRecord): { serial?: string; busType: string }[] {
  const busType = textOf(entry['bus-type'])
  const serial = textOf(entry.serial)
  return busType === undefined ? [] : [{ ...(serial !== undefined && { serial }), busType }]
}

/** `guest-network-get-interfaces`. */
export function readInterfaces(answer: unknown): AgentInterface[] {
  let left = ALL_ADDRESSES
  return listOf(answer, INTERFACES).flatMap((entry) => {
    const name = textOf(entry.name)
    if (name === undefined) return []
    const mac = textOf(entry['hardware-address'])?.toLowerCase()
    const claimed = listOf(entry['ip-addresses'], ADDRESSES).flatMap((each) => {
      const address = textOf(each['ip-address'])
      return address !== undefined && isUsableAddress(address) ? [address] : []
    })
    const addresses = [...new Set(claimed)].slice(0, left)
    left -= addresses.length
    return [{ name, ...(mac !== undefined && MAC.test(mac) && { mac }), addresses }]
  })
}

/** Load averages of a guest, by the time they are over. */
export type GuestLoad = Partial<Record<'1m' | '5m' | '15m', number>>

/** `guest-get-load`: agents of 10.0 and newer, on systems that have such a thing. */
export function readLoad(answer: unknown): GuestLoad {
  const found = recordOf(answer)
  const load: GuestLoad = {}
  for (const time of ['1m', '5m', '15m'] as const) {
    const value = amountOf(found[`load${time}`])
    if (value !== undefined) load[time] = value
  }
  return load
}

/** `guest-fsfreeze-status`. */
export function readFreezeStatus(answer: unknown): 'thawed' | 'frozen' | undefined {
  return answer === 'thawed' || answer === 'frozen' ? answer : undefined
}

/** An address of one machine, without a zone. */
function isUsableAddress(text: string): boolean {
  const family = isIP(text)
  if (family === 4) {
    const first = Number(text.split('.')[0])
    return first !== 0 && first !== 127 && first < 224
  }
  return family === 6 && !/%|^(::1?|f{2}[\da-f]{2}:.*|::ffff:.*)$/i.test(text)
}

function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {}
}

function listOf(value: unknown, limit: number): JsonRecord[] {
  return Array.isArray(value) ? value.slice(0, limit).filter(isRecord) : []
}

/** `undefined` for what is no text, or has nothing in it. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? cleanText(value) || undefined : undefined
}

/** A number from 0 that JSON can hold. Whole ones that JavaScript would round are cut off. */
function amountOf(value: unknown): number | undefined {
  if (typeof value === 'bigint') return value < 0n ? undefined : Number.MAX_SAFE_INTEGER
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
    ? Math.min(value, Number.MAX_SAFE_INTEGER)
    : undefined
}
