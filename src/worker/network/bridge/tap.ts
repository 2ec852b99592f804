import { createHash } from 'node:crypto'

/**
 * A network card of a guest that is a port of one of the host's bridges. All that making it anew takes; written down
 * in the guest's record before it is made.
 */
export interface Tap {
  /** Name of the interface in the spec. */
  interface: string
  /** Name of the device on the host, as `tapName` makes it. */
  device: string
  bridge: string
  /** Hardware address of the guest's card. */
  mac: string
  vlan?: number
  /** Bytes; that of the bridge where absent. */
  mtu?: number
  allowsSpoofing?: boolean
  isolated?: boolean
  /** The only IP addresses that the guest may use, as the administrator of the network wrote. */
  addresses?: string[]
  /** What DHCP servers have given the guest, latest first. */
  leased?: string[]
}

/** What Linux allows: 15 characters. */
const NAME = /^vg[0-9a-f]{13}$/

/** What names of all devices of one worker begin with: workers of one machine have different state directories. */
export function tapPrefix(stateDir: string): string {
  return `vg${digest(stateDir).slice(0, 4)}`
}

/** Name of the device of a guest's interface: always the same. */
export function tapName(stateDir: string, guestUid: string, name: string): string {
  return tapPrefix(stateDir) + digest(`${guestUid}/${name}`).slice(0, 9)
}

/** Whether a name is one that `tapName` makes for this worker. */
export function isTapOf(stateDir: string, name: string): boolean {
  return NAME.test(name) && name.startsWith(tapPrefix(stateDir))
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
