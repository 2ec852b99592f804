import type { MigrationReport } from '../../rpc/actions.ts'
import type { MigrationState } from './state.ts'

const PHASES = {
  mirroring: 'running',
  sending: 'running',
  failing: 'running',
  reclaiming: 'handedOver',
  handedOver: 'handedOver',
  preparing: 'preparing',
  ready: 'ready',
  receiving: 'running',
  resuming: 'running',
  filling: 'running',
  done: 'done',
  failed: 'failed',
} as const satisfies Record<MigrationState['step'], MigrationReport['phase']>

/** What the node says of a migration. */
export function buildMigrationReport(move: MigrationState): MigrationReport {
  const { uid, side, step, startTime, endTime, mode, failure, guestLost, abortStatus, progress } = move
  const readyTime = move.side === 'target' ? move.readyTime : undefined
  return {
    migrationUid: uid,
    side,
    phase: PHASES[step],
    ...(mode && { mode }),
    ...(startTime && { startTime }),
    ...(endTime && { endTime }),
    ...(readyTime && { readyTime }),
    // While it is being taken back, its end is not certain.
    ...(failure && step === 'failed' && { failure }),
    ...(guestLost && { guestLost }),
    ...(abortStatus && { abortStatus }),
    ...(progress && { progress }),
  }
}
