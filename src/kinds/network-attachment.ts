import { isIP } from 'node:net'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type { KubeObject } from './meta.ts'

/** A network that guests are attached to beside that of pods. Source: Multus, `k8s.cni.cncf.io/v1`. */
export interface NetworkAttachment extends KubeObject {
  /** `config` is the configuration of a CNI plugin, or of a list of them, as JSON. */
  spec?: { config?: string }
}

/** What a NetworkAttachmentDefinition says of the network, as far as a node can make it for a guest. */
export interface AttachmentConfig {
  /** Why it cannot be used, for people; then nothing else counts. */
  problem?: string
  /** The host's bridge that guests become ports of. */
  bridge?: string
  /** VLAN that the guest is in, untagged: 1 to 4094. */
  vlan?: number
  /** Bytes that fit in a packet: 576 to 65521. */
  mtu?: number
  /** The guest may use any hardware and IP address; otherwise its own alone. */
  allowsSpoofing?: boolean
  /** Guests do not see each other, only what else is on the bridge. */
  isolated?: boolean
  /** The only IP addresses that the guest may use, without prefix lengths; any where absent. */
  addresses?: string[]
}

/** Bridges, as the CNI plugins of these names connect to them. */
const BRIDGE_TYPES: readonly unknown[] = ['bridge', 'cnv-bridge']
const DEVICE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,15}$/
const VLANS = { from: 1, to: 4094 }
const MTUS = { from: 576, to: 65_521 }

/** Namespace and name of the NetworkAttachmentDefinition that `[namespace/]name` means. */
export function attachmentKeyOf(networkName: string, namespace: string): { namespace: string; name: string } {
  const slash = networkName.indexOf('/')
  if (slash < 0) return { namespace, name: networkName }
  return { namespace: networkName.slice(0, slash), name: networkName.slice(slash + 1) }
}

/**
 * Reads a NetworkAttachmentDefinition: the first bridge in it. What cannot be used is told as a `problem`.
 * Source: CNI's network configuration lists, the options of its `bridge` plugin; contract worker-qemu 4.4.
 */
export function readAttachment({ spec }: NetworkAttachment): AttachmentConfig {
  const config = parse(spec?.config)
  if (!isRecord(config)) return { problem: 'its spec.config is no JSON object' }
  const plugins = Array.isArray(config.plugins) ? config.plugins.filter(isRecord) : [config]
  const plugin = plugins.find(({ type }) => BRIDGE_TYPES.includes(type))
  if (plugin) return readBridge(plugin)
  const types = plugins.map(({ type }) => JSON.stringify(type ?? '')).join(', ')
  return { problem: `nodes know no networks of the type ${types}: use the type "bridge"` }
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

function readBridge(plugin: JsonRecord): AttachmentConfig {
  const { bridge, vlan, mtu } = plugin
  if (typeof bridge !== 'string' || !DEVICE_NAME.test(bridge)) return { problem: 'it names no bridge' }
  if (vlan !== undefined && vlan !== 0 && !isWithin(vlan, VLANS))
    return { problem: `its vlan is no number from ${VLANS.from} to ${VLANS.to}` }
  if (mtu !== undefined && mtu !== 0 && !isWithin(mtu, MTUS))
    return { problem: `its mtu is no number from ${MTUS.from} to ${MTUS.to}` }
  if (Array.isArray(plugin.vlanTrunk) && plugin.vlanTrunk.length > 0)
    return { problem: 'it has a vlanTrunk, and guests are in one VLAN only: use vlan' }
  const addresses = staticAddresses(plugin.ipam)
  const wrong = addresses.find((address) => isIP(address) === 0)
  if (wrong !== undefined)
    return { problem: `its ipam has an address that is none: ${JSON.stringify(wrong)}` }
  return {
    bridge,
    ...(isWithin(vlan, VLANS) && { vlan }),
    ...(isWithin(mtu, MTUS) && { mtu }),
    ...(plugin.macspoofchk === false && { allowsSpoofing: true }),
    ...(plugin.portIsolation === true && { isolated: true }),
    ...(addresses.length > 0 && { addresses }),
  }
}

/** Other ways of assigning addresses are for pods: a guest asks the network's own DHCP server. */
function staticAddresses(ipam: unknown): string[] {
  if (!isRecord(ipam) || ipam.type !== 'static' || !Array.isArray(ipam.addresses)) return []
  return ipam.addresses.filter(isRecord).flatMap(({ address }) => {
    const [plain] = typeof address === 'string' ? address.split('/') : []
    return plain ? [plain.toLowerCase()] : []
  })
}

function isWithin(value: unknown, { from, to }: { from: number; to: number }): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to
}
