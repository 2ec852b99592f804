import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { GuestRef, GuestReport } from '../../rpc/actions.ts'
import { claimKeysOf } from './claims.ts'

/**
 * A node that may hold something of a guest. The epoch counts, from 1, how often the guest may have changed hands:
 * the node with the lowest one has the guest; a second node is there while the guest is being moved to it.
 */
export interface Holding {
  nodeName: string
  epoch: number
}

/**
 * The nodes that may hold something of the VMI's guest, the one that has it first; none before a node is chosen, and
 * once no node has anything of it any more.
 *
 * They stand in `status.activePods`, under the VMI's own UID in place of a pod's, with the epoch behind it from 2 on,
 * before a node is asked for anything: status is closed to users, every Kubernetes API keeps this map whole, and an
 * update that lost a race cannot overwrite the choice. So node, epoch and ownership change hands in one write.
 */
export function holdingsOf({ metadata, status }: Vmi): Holding[] {
  const chosen = Object.entries(status?.activePods ?? {}).flatMap(([key, nodeName]) => {
    const epoch = readEpoch(metadata.uid, key)
    return epoch === undefined ? [] : [{ nodeName, epoch }]
  })
  if (chosen.length > 0) return chosen.toSorted((left, right) => left.epoch - right.epoch)
  return status?.nodeName === undefined || isFinal(status.phase)
    ? []
    : [{ nodeName: status.nodeName, epoch: 1 }]
}

function readEpoch(uid: string, key: string): number | undefined {
  if (key === uid) return 1
  const count = key.startsWith(`${uid}.`) ? Number(key.slice(uid.length + 1)) : Number.NaN
  return Number.isSafeInteger(count) && count > 1 ? count : undefined
}

/** What stands for a guest in one pair of hands, in place of a launcher pod. */
export function instanceOf(uid: string, epoch: number): string {
  return epoch === 1 ? uid : `${uid}.${epoch}`
}

/** The node that has the VMI's guest, or is to start it. */
export function placementOf(vmi: Vmi): string | undefined {
  return holdingsOf(vmi)[0]?.nodeName
}

/** The node that the guest is being moved to. */
export function incomingOf(vmi: Vmi): Holding | undefined {
  return holdingsOf(vmi)[1]
}

/** How often the guest may have changed hands, counted from 1. */
export function epochOf(vmi: Vmi): number {
  return holdingsOf(vmi)[0]?.epoch ?? 1
}

/** Whether that node may hold something of the guest with that UID. */
export function isHeldAt(vmi: Vmi | undefined, uid: string, nodeName: string): boolean {
  return vmi?.metadata.uid === uid && holdingsOf(vmi).some((holding) => holding.nodeName === nodeName)
}

/**
 * Whether a report is about the VMI's guest and from a node that has nothing to do with it: what it says counts for nothing. The
 * nodes of the latest migration have, though they may be done with it. Source: security.md, E3.
 */
export function isForeign(vmi: Vmi | undefined, nodeName: string, { guest }: GuestReport): boolean {
  if (vmi?.metadata.uid !== guest.uid || holdingsOf(vmi).length === 0) return false
  const { sourceNode, targetNode } = vmi.status?.migrationState ?? {}
  return !isHeldAt(vmi, guest.uid, nodeName) && nodeName !== sourceNode && nodeName !== targetNode
}

/** The VMI with those nodes, and no others, that may hold something of it. */
export function withHoldings(vmi: Vmi, holdings: readonly Holding[]): Vmi {
  const entries = holdings.map(({ nodeName, epoch }) => [instanceOf(vmi.metadata.uid, epoch), nodeName])
  return { ...vmi, status: { ...vmi.status, activePods: Object.fromEntries(entries) } }
}

/** The VMI with the node chosen. */
export function withPlacement(vmi: Vmi, nodeName: string): Vmi {
  return withHoldings(vmi, [{ nodeName, epoch: 1 }])
}

/** The VMI of which no node holds anything any more. */
export function withoutPlacement(vmi: Vmi): Vmi {
  const { activePods: _pods, ...status } = vmi.status ?? {}
  return { ...vmi, status }
}

/** What VMIs are looked up by: the nodes that hold them; '' for those that still need one. */
export const vmiIndexes = {
  node: (vmi: Vmi): string[] => {
    const holdings = holdingsOf(vmi)
    if (holdings.length > 0) return holdings.map(({ nodeName }) => nodeName)
    return isFinal(vmi.status?.phase) ? [] : ['']
  },
  claim: claimKeysOf,
}

/** The VMI as nodes know it. */
export function guestRefOf({ metadata: { uid, namespace, name } }: Vmi): GuestRef {
  return { uid, namespace, name }
}
