import { readdir, readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { unlessMissing } from '../../files/errno.ts'

/** What the kernel says of its network devices in `/sys/class/net`. */

const NET = '/sys/class/net'

/** Names of all network devices. */
export async function deviceNames(): Promise<string[]> {
  return readdir(NET)
}

/** Whether there is a tap (or a tun) of that name. */
export async function isTap(device: string): Promise<boolean> {
  return (await read(device, 'tun_flags')) !== undefined
}

/** What there is to know of a bridge; `undefined` where there is none of that name. */
export async function readBridge(name: string): Promise<{ mtu: number; filtersVlans: boolean } | undefined> {
  const filtering = await read(name, 'bridge/vlan_filtering')
  const priority = await read(name, 'bridge/priority')
  if (priority === undefined) return undefined
  return { mtu: Number(await read(name, 'mtu')), filtersVlans: filtering === '1' }
}

/** Whether a device is the bridge, or stands on it, as one for a VLAN of it does. */
export async function isOnBridge(device: string, bridge: string): Promise<boolean> {
  if (device === bridge) return true
  const entries = (await unlessMissing(readdir(join(NET, device)))) ?? []
  return entries.includes(`lower_${bridge}`)
}

/** The bridge, and what stands on it. */
export async function devicesOn(bridge: string): Promise<string[]> {
  const entries = (await unlessMissing(readdir(join(NET, bridge)))) ?? []
  return [bridge, ...entries.flatMap((entry) => /^upper_(.+)$/.exec(entry)?.[1] ?? [])]
}

/** IP addresses that this host has on the bridge, or on what stands on it. */
export async function addressesOnBridge(bridge: string): Promise<string[]> {
  const found: string[] = []
  for (const [device, addresses = []] of Object.entries(networkInterfaces())) {
    if (await isOnBridge(device, bridge)) found.push(...addresses.map(({ address }) => address))
  }
  return found
}

async function read(device: string, file: string): Promise<string | undefined> {
  const text = await unlessMissing(readFile(join(NET, device, file), 'utf8'))
  return text?.trim()
}
