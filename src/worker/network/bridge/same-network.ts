import { isRecord, type JsonRecord } from '../../../lib/json.ts'
import { isOnBridge, readBridge } from './host.ts'
import type { Tap } from './tap.ts'
import type { Taps } from './taps.ts'

/**
 * Whether a device of this node is in the network of a tap: the tap's bridge itself or what stands on it, and in the same VLAN,
 * where the bridge tells VLANs apart. Else what is sent there could end at another guest that has the same addresses in
 * another VLAN (security C3). Throws `HostCommandFailed`.
 */
export async function isInNetworkOf(
  { bridge, device: tap }: Pick<Tap, 'bridge' | 'device'>,
  device: string,
  taps: Pick<Taps, 'ask' | 'askBridge'>,
): Promise<boolean> {
  if (!(await isOnBridge(device, bridge))) return false
  const tag = device === bridge ? undefined : await tagOf(device, taps)
  const found = await readBridge(bridge)
  // Guests send nothing with a tag.
  if (!found?.filtersVlans) return tag === undefined
  const untagged = untaggedVlans(await taps.askBridge('vlan', 'show'))
  const own = untagged.get(tap)
  return own !== undefined && (tag ?? untagged.get(bridge)) === own
}

/** The VLAN whose packets a device takes from the bridge below it; `undefined` where it takes those without a tag. */
async function tagOf(device: string, taps: Pick<Taps, 'ask'>): Promise<number | undefined> {
  const [link] = recordsOf(await taps.ask('-details', 'link', 'show', 'dev', device))
  const info = isRecord(link?.linkinfo) ? link.linkinfo : {}
  if (info.info_kind !== 'vlan' || !isRecord(info.info_data)) return undefined
  return Number(info.info_data.id)
}

/** The VLAN that each port's packets without a tag are in; the bridge is a port of its own. Source: bridge(8), `vlan show`. */
function untaggedVlans(answer: unknown): Map<string, number> {
  return new Map(
    recordsOf(answer).flatMap(({ ifname, vlans }): [string, number][] => {
      const own = recordsOf(vlans).find(({ flags }) => Array.isArray(flags) && flags.includes('PVID'))
      return typeof ifname === 'string' && typeof own?.vlan === 'number' ? [[ifname, own.vlan]] : []
    }),
  )
}

function recordsOf(answer: unknown): JsonRecord[] {
  return Array.isArray(answer) ? answer.filter(isRecord) : []
}
