import { FieldPath } from '../../../lib/field-path.ts'
import { invalidConfig, resourceMissing } from '../../../qemu/argv/error.ts'
import { macOf } from '../../../qemu/argv/mac.ts'
import type { SyncRequest } from '../../../rpc/actions.ts'
import { type Tap, tapName } from './tap.ts'

/** What of this node the plan hangs on. */
export interface TapHost {
  /** Names the worker; absolute. */
  stateDir: string
  /** Bridges that guests may be on. */
  bridges: readonly string[]
}

const SPEC = new FieldPath('spec')
const INTERFACES = SPEC.child('domain', 'devices', 'interfaces')

/**
 * The guest's interfaces that are to be ports of bridges: those bound by `bridge` to a network of Multus.
 *
 * Throws `GuestConfigError` for a network that cannot be used, and for a bridge that guests may not be on.
 */
export function planTaps({ vmi, networks }: SyncRequest, host: TapHost): Tap[] {
  const { uid } = vmi.metadata
  const { interfaces = [] } = vmi.spec.domain.devices
  return interfaces.flatMap((card, index) => {
    const position = (vmi.spec.networks ?? []).findIndex(({ name }) => name === card.name)
    const networkName = vmi.spec.networks?.[position]?.multus?.networkName
    if (!card.bridge || card.state === 'absent' || networkName === undefined) return []
    const at = SPEC.child('networks').index(position).child('multus')
    const { bridge, vlan, mtu, ...rules } = attachmentOf(networks, networkName, at)
    if (!host.bridges.includes(bridge)) {
      throw resourceMissing(
        at,
        `guests of this node may not be on the bridge ${bridge} of ${networkName}: start its worker with --bridge ${bridge}`,
      )
    }
    return {
      interface: card.name,
      device: tapName(host.stateDir, uid, card.name),
      bridge,
      mac: macOf({ uid }, card, INTERFACES.index(index)),
      ...(vlan !== undefined && { vlan }),
      ...(mtu !== undefined && { mtu }),
      ...rules,
    }
  })
}

type Rules = Pick<Tap, 'bridge' | 'vlan' | 'mtu' | 'allowsSpoofing' | 'isolated' | 'addresses'>

function attachmentOf(networks: SyncRequest['networks'], networkName: string, at: FieldPath): Rules {
  const found = networks?.[networkName]
  if (!found) {
    throw resourceMissing(
      at,
      `the controller has not said what ${networkName} is: it is older than this worker; update it`,
    )
  }
  const { problem, bridge, vlan, mtu, allowsSpoofing, isolated, addresses } = found
  if (problem !== undefined || bridge === undefined) {
    const why = problem ?? 'it names no bridge'
    throw invalidConfig(at, `the NetworkAttachmentDefinition ${networkName} cannot be used: ${why}`)
  }
  return {
    bridge,
    ...(vlan !== undefined && { vlan }),
    ...(mtu !== undefined && { mtu }),
    ...(allowsSpoofing && { allowsSpoofing }),
    ...(isolated && { isolated }),
    ...(addresses && { addresses }),
  }
}
