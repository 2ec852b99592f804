/** How a migration changes its VMI. Every change is one write with the version as lock. Source: contract 7.7. */
import { NODE_NAME_LABEL } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { TARGET_NODE_LABEL } from '../../kinds/migration.ts'
import type { MigrationConfiguration, MigrationState } from '../../kinds/migration.ts'
import type { MigrationReport } from '../../rpc/actions.ts'
import { withoutCondition } from '../conditions.ts'
import { advance } from '../vmi/phases.ts'
import { epochOf, holdingsOf, incomingOf, instanceOf, withHoldings } from '../vmi/placed.ts'

/** The condition of a VMI that has to leave its node. Source: contract 7.5. */
export const EVICTION_REQUESTED = 'EvictionRequested'

/** Whether the VMI is being moved: its guest may be on two nodes. */
export function isInFlight({ status }: Vmi): boolean {
  const state = status?.migrationState
  return Boolean(state?.migrationUid) && state?.completed !== true && state?.endTimestamp === undefined
}

/** The VMI with the beginning of a migration: the target may be asked for something from now on. */
export function begun(
  vmi: Vmi,
  migrationUid: string,
  targetNode: string,
  { configuration, policy }: { configuration: MigrationConfiguration; policy: string | undefined },
): Vmi {
  const [owner] = holdingsOf(vmi)
  if (!owner) throw new RangeError(`the VMI ${vmi.metadata.name} is on no node`)
  const { uid } = vmi.metadata
  const epoch = owner.epoch + 1
  const state: MigrationState = {
    migrationUid,
    sourceNode: owner.nodeName,
    sourcePod: instanceOf(uid, owner.epoch),
    targetNode,
    targetPod: instanceOf(uid, epoch),
    migrationConfiguration: configuration,
    ...(policy !== undefined && { migrationPolicyName: policy }),
  }
  const both = withHoldings(vmi, [owner, { nodeName: targetNode, epoch }])
  // Nothing of an earlier migration stays.
  const next = { ...both, status: { ...both.status, migrationState: state } }
  return withLabels(next, { [TARGET_NODE_LABEL]: targetNode })
}

/** The VMI with those members of `migrationState`. */
export function withState(vmi: Vmi, change: MigrationState): Vmi {
  return { ...vmi, status: { ...vmi.status, migrationState: { ...vmi.status?.migrationState, ...change } } }
}

/** What the two nodes say of a migration under way, as `migrationState` has it. */
export function observed(
  source: MigrationReport | undefined,
  target: MigrationReport | undefined,
): MigrationState {
  const mode = source?.mode ?? target?.mode
  const isDetected = source?.phase === 'handedOver' || target?.phase === 'done' || target?.mode === 'PostCopy'
  return {
    ...(mode && { mode }),
    ...(isDetected && { targetNodeDomainDetected: true }),
    ...(target?.readyTime && { targetNodeDomainReadyTimestamp: target.readyTime }),
  }
}

/** The VMI whose guest runs on the target: node, label, epoch and the end of the migration in one. */
export function handedOver(vmi: Vmi, target: MigrationReport, now: string): Vmi {
  const holding = incomingOf(vmi)
  if (!holding) throw new RangeError(`the VMI ${vmi.metadata.name} is not being moved`)
  const { nodeName } = holding
  const state = vmi.status?.migrationState
  const { evacuationNodeName: _left, ...status } = vmi.status ?? {}
  const conditions = withoutCondition(status.conditions ?? [], EVICTION_REQUESTED)
  const moved = { ...vmi, status: { ...status, nodeName, conditions: [...conditions] } }
  const ended = withState(withHoldings(moved, [holding]), {
    ...observed(undefined, target),
    startTimestamp: state?.startTimestamp ?? target.startTime ?? now,
    targetNodeDomainReadyTimestamp: target.readyTime ?? now,
    endTimestamp: now,
    completed: true,
    // It was too late.
    ...(state?.abortRequested && { abortStatus: 'Failed' }),
  })
  return withLabels(ended, { [NODE_NAME_LABEL]: nodeName, [TARGET_NODE_LABEL]: undefined })
}

/** Why, and after what, a migration has failed. */
export interface MigrationFailure {
  /** Begins with one of the contract's words, such as `aborted: …`. Source: contract worker-qemu 5.6. */
  reason: string
  /**
   * The target is known never to run the guest, while nobody knows how far the source has got: what it is told from
   * now on has to be newer than whatever the target was told.
   */
  isSourceUnknown?: boolean
  /** It has cost the guest. */
  isGuestLost?: boolean
}

/** The VMI whose guest stays where it was. */
export function failed(
  vmi: Vmi,
  { reason, isSourceUnknown, isGuestLost }: MigrationFailure,
  now: string,
): Vmi {
  const [owner] = holdingsOf(vmi)
  const epoch = epochOf(vmi) + (isSourceUnknown ? 2 : 0)
  const kept = owner ? withHoldings(vmi, [{ ...owner, epoch }]) : vmi
  const state = vmi.status?.migrationState
  const ended = withState(kept, {
    endTimestamp: now,
    completed: true,
    failed: true,
    failureReason: reason,
    ...(state?.abortRequested && { abortStatus: reason.startsWith('aborted') ? 'Succeeded' : 'Failed' }),
  })
  const there = withLabels(ended, { [TARGET_NODE_LABEL]: undefined })
  if (!isGuestLost) return there
  const lost = advance(there, 'Failed', now)
  return { ...lost, status: { ...lost.status, reason: 'MigrationFailed' } }
}

function withLabels(vmi: Vmi, change: Record<string, string | undefined>): Vmi {
  // A label without a value is left out when it is written.
  const entries = Object.entries({ ...vmi.metadata.labels, ...change }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return { ...vmi, metadata: { ...vmi.metadata, labels: Object.fromEntries(entries) } }
}
