import { type Clock, timestamp } from '../../lib/clock.ts'
import type { IncomingReply, MigrationOptions, MigrationReport } from '../../rpc/actions.ts'

/** A disk that is copied to the target, because that node cannot see the source's. */
export interface MirroredDisk {
  /** Block node, named the same on both sides. */
  node: string
  /** As the guest sees it. */
  virtualBytes: number
}

/** What both sides write down of a migration. Nothing secret is in it: keys are files of their own. */
interface Common {
  uid: string
  /** RFC 3339. */
  startTime?: string
  endTime?: string
  mode?: 'PreCopy' | 'PostCopy' | 'Paused'
  /** Stable prefix and detail. Source: contract worker-qemu 5.6. */
  failure?: string
  guestLost?: boolean
  abortStatus?: 'Aborting' | 'Succeeded' | 'Failed'
  progress?: NonNullable<MigrationReport['progress']>
  /** Disks that are copied. */
  disks: MirroredDisk[]
  /** Common name of the other side's certificate; absent where nothing is encrypted. */
  peerName?: string
}

/**
 * The source's part. Steps, each written down before it is taken:
 * `mirroring` copies the local disks, `sending` the memory; `failing` takes all of it back; `handedOver`: the target
 * has the guest and decides; `reclaiming`: the target is dead for certain, the guest goes on here.
 */
export interface OutgoingState extends Common {
  side: 'source'
  step: 'mirroring' | 'sending' | 'failing' | 'failed' | 'handedOver' | 'reclaiming'
  target: IncomingReply
  options: MigrationOptions
  /** Of memory, in bytes a second, at the last look. */
  rates?: { dirty: number; sent: number }
}

/**
 * The target's part. `preparing` up to the moment in which QEMU listens, `ready`, `receiving`; `resuming` is written
 * down before the guest's CPUs may run here: from then on it may have run. `filling`: it runs, and its memory still
 * arrives (post-copy).
 */
export interface IncomingState extends Common {
  side: 'target'
  step: 'preparing' | 'ready' | 'receiving' | 'resuming' | 'filling' | 'done' | 'failed'
  /** Where QEMU listens. */
  reply?: IncomingReply
  /** The guest's user had paused it, so it stays paused here. */
  paused: boolean
  /** When the guest's CPUs ran here; RFC 3339. */
  readyTime?: string
}

/** The latest migration that this node has had a part in. */
export type MigrationState = OutgoingState | IncomingState

type At<M extends MigrationState, S extends M['step']> = M & { step: S }

/** Whether the guest is on its way from here: no device may come or go, and nothing may stop or reset it. */
export function isSending(
  move: MigrationState | undefined,
): move is At<OutgoingState, 'mirroring' | 'sending' | 'failing' | 'reclaiming'> {
  return move?.side === 'source' && ['mirroring', 'sending', 'failing', 'reclaiming'].includes(move.step)
}

/** Whether the target has the guest, and what is left here must never run. */
export function isHandedOver(move: MigrationState | undefined): move is At<OutgoingState, 'handedOver'> {
  return move?.side === 'source' && move.step === 'handedOver'
}

/** Whether the guest has not run here yet, and must not be started or shut down by the usual ways. */
export function isArriving(
  move: MigrationState | undefined,
): move is At<IncomingState, 'preparing' | 'ready' | 'receiving' | 'resuming' | 'failed'> {
  return move?.side === 'target' && !['filling', 'done'].includes(move.step)
}

/** Whether anything is still to be done about it, so that nothing else may be done to the guest's machine. */
export function isMoving(move: MigrationState | undefined): boolean {
  return (
    isSending(move) ||
    isHandedOver(move) ||
    isArriving(move) ||
    (move?.side === 'target' && move.step === 'filling')
  )
}

/**
 * The migration as it is after somebody has asked to give it up: taken back where that is possible, unchanged where
 * it is over or being taken back.
 */
export function abort(move: OutgoingState, failure: string): OutgoingState {
  if (move.step !== 'mirroring' && move.step !== 'sending') return move
  if (move.mode === 'PostCopy') return move.abortStatus ? move : { ...move, abortStatus: 'Failed' }
  return { ...move, step: 'failing', failure, abortStatus: 'Aborting' }
}

/** Migrations that are remembered, so that none is carried out twice. */
const PAST_LIMIT = 50

/** The migrations that are over, or never to begin, with one more of them. */
export function withPast(past: readonly string[] | undefined, uid: string): string[] {
  return [...(past ?? []).filter((one) => one !== uid), uid].slice(-PAST_LIMIT)
}

/** Whether a target is still being made: what there is of it is thrown away by the next worker. */
export function isPreparing(move: MigrationState | undefined): boolean {
  return move?.side === 'target' && move.step === 'preparing'
}

/** Whether the guest's CPUs may have run on this target. */
export function mayHaveRun({ step }: IncomingState): boolean {
  return step === 'resuming' || step === 'filling' || step === 'done'
}

/** Whether the guest runs on another node, or may: it can neither be shut down here nor let go on. */
export function isElsewhere(move: MigrationState | undefined): boolean {
  return isHandedOver(move) || isArriving(move) || (isSending(move) && move.mode === 'PostCopy')
}

/** The migration as it is where it has failed; the guest goes on at the source. */
export function fail<M extends MigrationState>(move: M, failure: string, clock: Clock): M {
  return { ...move, step: 'failed', failure, endTime: timestamp(clock) }
}

/** The migration as it is where its guest has ended, by itself or not, while it was on its way. */
export function lose<M extends MigrationState>(
  move: M,
  message: string,
  phase: 'Succeeded' | 'Failed',
  clock: Clock,
): M {
  return { ...fail(move, `internal: ${message}`, clock), ...(phase === 'Failed' && { guestLost: true }) }
}
