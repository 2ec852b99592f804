import { hasReason } from '../../lib/errors.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { MigrationRef } from '../../rpc/actions.ts'
import { NODE_GRACE_MS } from '../vmi/write.ts'
import type { MigrationContext } from './context.ts'
import { askSide } from './flight.ts'
import type { Flight, Side } from './flight.ts'
import { prepare } from './prepare.ts'
import { observed } from './state.ts'
import { endFailed, handOver, note, nowOf } from './write.ts'

/** Milliseconds that the target gets to run what the source has handed over. Source: contract worker-qemu 5.5. */
const CONFIRM_MS = 60_000
/** Milliseconds between looks at a node that is to end something. */
const LOOK_MS = 5_000

/** Why a migration is not to go on. */
export interface GivingUp {
  /** Begins with one of the contract's words. */
  reason: string
  /** Somebody has asked for it, rather than time. */
  isAsked: boolean
}

/**
 * One step of a migration that is under way, from what the API object and both nodes say now; returns the VMI as it
 * is stored then. The guest is given to the target on the target's word alone, and left to the source only on the
 * source's word or once the target is known never to run it. Source: contract worker-qemu 5.2 and 5.5.
 */
export async function drive(
  context: MigrationContext,
  flight: Flight,
  giveUp: GivingUp | undefined,
): Promise<Vmi> {
  const { vmi, state, source, target } = flight
  if (target.migration?.phase === 'done') return handOver(context, flight, target.migration)
  if (source.migration?.phase === 'failed') return endBySource(context, flight)
  if (isFinal(vmi.status?.phase)) {
    return endFailed(context, flight, { reason: 'aborted: the guest has ended' })
  }
  const neverRuns = whyTargetIsOut(target)
  if (neverRuns !== undefined) return endWithoutTarget(context, flight, neverRuns)
  if (await hasSourceLost(context, flight)) return endWithoutSource(context, flight)
  if (source.migration?.phase === 'handedOver') return waitForTarget(context, flight)
  if (giveUp && state.abortStatus !== 'Failed') return stop(context, flight, giveUp)
  return isSent(flight) ? follow(context, flight) : prepare(context, flight)
}

/** The source says that the guest goes on there. */
function endBySource(context: MigrationContext, flight: Flight): Promise<Vmi> {
  const { state, source, target } = flight
  const { failure = 'internal: the source gave no reason', guestLost } = source.migration ?? {}
  // We have told it to stop because the target could not go on: that is the reason.
  const isOurs = failure.startsWith('aborted') && !state.abortRequested
  const reason = isOurs ? (target.migration?.failure ?? failure) : failure
  return endFailed(context, flight, { reason, ...(guestLost && { isGuestLost: true }) })
}

/** Why the target will never run the guest; `undefined` while it may. */
function whyTargetIsOut({ nodeName, guest, migration, isGone }: Side): string | undefined {
  if (migration?.phase === 'failed') return migration.failure ?? 'internal: the target gave no reason'
  if (guest?.gone && migration) return `target-unreachable: node ${nodeName} has given the guest up`
  return isGone ? `target-unreachable: node ${nodeName} was removed` : undefined
}

/** Ends it where the guest can only be at the source, as soon as that is not sending it any more. */
async function endWithoutTarget(context: MigrationContext, flight: Flight, reason: string): Promise<Vmi> {
  const { vmi, ref, source, target } = flight
  if (target.migration?.guestLost) return endFailed(context, flight, { reason, isGuestLost: true })
  if (source.migration?.phase === 'handedOver') {
    return endFailed(context, flight, { reason, isSourceUnknown: true })
  }
  if (source.actions) {
    await cancel(context, ref, source)
    const said = await askSide(context, ref, source)
    if (said === undefined || said === 'gone') return endFailed(context, flight, { reason })
    context.again(LOOK_MS)
    return vmi
  }
  const leftMs = awayLeftMs(context, source)
  if (leftMs <= 0) return endFailed(context, flight, { reason, isSourceUnknown: true })
  context.again(leftMs)
  return vmi
}

/** Milliseconds that a node which is away is waited for. */
function awayLeftMs({ clock }: MigrationContext, { view, isGone }: Side): number {
  if (isGone || !view) return 0
  return view.connection.sinceMs + NODE_GRACE_MS - clock.now()
}

/** Whether the source does not have the guest any more, or will not come back. */
async function hasSourceLost(context: MigrationContext, { ref, source }: Flight): Promise<boolean> {
  if (source.isGone) return true
  if (!source.actions || !(source.guest?.gone ?? true)) return false
  return (await askSide(context, ref, source)) === 'gone'
}

/** The guest is at the target, or lost: which of the two, the target has to say. */
async function endWithoutSource(context: MigrationContext, flight: Flight): Promise<Vmi> {
  const { vmi, ref, source, target } = flight
  if (target.actions) {
    await cancel(context, ref, target)
    if ((await askSide(context, ref, target)) === 'gone') {
      const reason = `internal: node ${source.nodeName} does not have the guest any more`
      return endFailed(context, flight, { reason, isSourceUnknown: source.isGone })
    }
  }
  context.again(LOOK_MS)
  return vmi
}

/** The source has sent all of it, and the target is about to run it. Should it not, it must not any more. */
async function waitForTarget(context: MigrationContext, flight: Flight): Promise<Vmi> {
  const { vmi, ref, source, target } = flight
  const { clock, desk } = context
  const leftMs = desk.handedOverSince(ref.migrationUid, clock.now()) + CONFIRM_MS - clock.now()
  if (leftMs > 0 || !target.actions) {
    context.again(Math.max(leftMs, LOOK_MS))
    return note(context, vmi, observed(source.migration, target.migration))
  }
  await cancel(context, ref, target)
  if ((await askSide(context, ref, target)) === 'gone') {
    const reason = `target-unreachable: node ${target.nodeName} has not run the guest`
    return endFailed(context, flight, { reason, isSourceUnknown: true })
  }
  context.again(LOOK_MS)
  return vmi
}

/** Has both sides give up. Once the source has handed over, or in post-copy, it is too late. */
async function stop(context: MigrationContext, flight: Flight, { reason, isAsked }: GivingUp): Promise<Vmi> {
  const { vmi, ref, state, source, target } = flight
  if (isAsked && !state.abortRequested) {
    return note(context, vmi, { abortRequested: true, abortStatus: 'Aborting' })
  }
  context.again(LOOK_MS)
  if (source.actions) {
    await cancel(context, ref, source)
    const said = await askSide(context, ref, source)
    // It has not begun, and now it never will.
    if (said === undefined) return endFailed(context, flight, { reason })
    const isTooLate = said !== 'gone' && said.abortStatus === 'Failed'
    return isTooLate ? note(context, vmi, { abortStatus: 'Failed' }) : vmi
  }
  if (target.actions) {
    await cancel(context, ref, target)
    if ((await askSide(context, ref, target)) === 'gone') {
      return endFailed(context, flight, { reason, isSourceUnknown: true })
    }
  }
  return vmi
}

/** Tells a node to give up; one that does not have the guest has. */
async function cancel({ signal }: MigrationContext, ref: MigrationRef, { actions }: Side): Promise<void> {
  try {
    await actions?.cancelMigration(ref, signal)
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
  }
}

/** Whether the guest is being sent, as far as anybody knows. */
function isSent({ state, source }: Flight): boolean {
  return state.startTimestamp !== undefined || source.migration?.phase === 'running'
}

/** Takes in how it goes. */
async function follow(context: MigrationContext, flight: Flight): Promise<Vmi> {
  const { vmi, ref, state, source, target } = flight
  if (source.actions && !source.migration) {
    const said = await askSide(context, ref, source)
    if (said === undefined) {
      const reason = `internal: node ${source.nodeName} knows nothing of the migration`
      return endFailed(context, flight, { reason })
    }
    context.again(LOOK_MS)
  }
  const startTimestamp = state.startTimestamp ?? source.migration?.startTime ?? nowOf(context)
  return note(context, vmi, { startTimestamp, ...observed(source.migration, target.migration) })
}
