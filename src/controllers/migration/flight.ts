import { hasReason } from '../../lib/errors.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { MigrationState } from '../../kinds/migration.ts'
import type { Actions, GuestReport, MigrationRef, MigrationReport } from '../../rpc/actions.ts'
import type { GuestView, NodeView } from '../node-view.ts'
import { isNodeGone } from '../vmi/gone.ts'
import { guestRefOf, incomingOf, placementOf } from '../vmi/placed.ts'
import type { MigrationContext } from './context.ts'
import { isInFlight } from './state.ts'

/** One of the two nodes of a migration, as it is known now. */
export interface Side {
  nodeName: string
  /** Present while the node can be asked. */
  actions: Actions | undefined
  view: NodeView | undefined
  guest: GuestView | undefined
  /** What the node says of this migration; `undefined` where it says nothing of it. */
  migration: MigrationReport | undefined
  /** The node will not come back. */
  isGone: boolean
}

/** A migration that is under way. */
export interface Flight {
  vmi: Vmi
  ref: MigrationRef
  state: MigrationState
  source: Side
  target: Side
}

/** The migration that the VMI is in. */
export function flightOf(context: MigrationContext, vmi: Vmi): Flight | undefined {
  const state = vmi.status?.migrationState
  const migrationUid = state?.migrationUid
  const sourceNode = placementOf(vmi) ?? state?.sourceNode
  const targetNode = incomingOf(vmi)?.nodeName ?? state?.targetNode
  if (!isInFlight(vmi) || !state || !migrationUid || !sourceNode || !targetNode) return undefined
  const ref = { guest: guestRefOf(vmi), migrationUid }
  const side = (nodeName: string) => sideOf(context, nodeName, ref)
  return { vmi, ref, state, source: side(sourceNode), target: side(targetNode) }
}

function sideOf(context: MigrationContext, nodeName: string, { guest, migrationUid }: MigrationRef): Side {
  const view = context.watch.view(nodeName)
  if (!view) context.watch.refresh()
  const seen = view?.guest(guest.uid)
  return {
    nodeName,
    actions: view?.connection.connected ? context.nodes.find(nodeName) : undefined,
    view,
    guest: seen,
    migration: migrationOf(seen?.report, migrationUid),
    isGone: isNodeGone(context, nodeName),
  }
}

function migrationOf(report: GuestReport | undefined, migrationUid: string): MigrationReport | undefined {
  return report?.migration?.migrationUid === migrationUid ? report.migration : undefined
}

/**
 * Asks a node what it knows of the guest now: what it says of this migration, if anything, or `gone` where it does not
 * have the guest. What it says is taken in as if the watch had told it.
 */
export async function askSide(
  { signal }: Pick<MigrationContext, 'signal'>,
  { guest, migrationUid }: MigrationRef,
  { actions, view }: Side,
): Promise<MigrationReport | 'gone' | undefined> {
  const seen = view?.guest(guest.uid)
  try {
    const report = await actions?.report(guest, signal)
    if (report) view?.absorb(report, seen)
    return migrationOf(report, migrationUid)
  } catch (error) {
    if (hasReason(error, 'NotFound')) return 'gone'
    throw error
  }
}
