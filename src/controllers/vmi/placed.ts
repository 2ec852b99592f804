import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { GuestRef } from '../../rpc/actions.ts'

/**
 * The node that was chosen for the VMI and may hold its guest; `undefined` before the choice, and once the node
 * has nothing of it any more.
 *
 * The choice is written into `status.activePods`, with the VMI's own UID in place of a pod's, before the node is
 * asked for anything: status is closed to users, and an update that lost a race cannot overwrite the choice. So
 * no second node is ever asked.
 */
export function placementOf({ metadata, status }: Vmi): string | undefined {
  const chosen = status?.activePods?.[metadata.uid]
  return chosen ?? (isFinal(status?.phase) ? undefined : status?.nodeName)
}

/** The VMI with the node chosen. */
export function withPlacement(vmi: Vmi, nodeName: string): Vmi {
  return { ...vmi, status: { ...vmi.status, activePods: { [vmi.metadata.uid]: nodeName } } }
}

/** The VMI of which no node holds anything any more. */
export function withoutPlacement(vmi: Vmi): Vmi {
  const { activePods: _pods, ...status } = vmi.status ?? {}
  return { ...vmi, status }
}

/** What VMIs are looked up by: the node that holds them; '' for those that still need one. */
export const vmiIndexes = {
  node: (vmi: Vmi): string[] => {
    const nodeName = placementOf(vmi)
    if (nodeName !== undefined) return [nodeName]
    return isFinal(vmi.status?.phase) ? [] : ['']
  },
}

/**
 * How often the guest has changed hands, counted from 1. Nothing moves a guest yet, so it is derived rather than
 * stored; live migration will have to count it in `status.migrationState`.
 */
export function epochOf(_vmi: Vmi): number {
  return 1
}

/** The VMI as nodes know it. */
export function guestRefOf({ metadata: { uid, namespace, name } }: Vmi): GuestRef {
  return { uid, namespace, name }
}
