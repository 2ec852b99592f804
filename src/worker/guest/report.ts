import type { Condition } from '../../kinds/meta.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import { agentConditions, withAgent } from '../agent/view.ts'
import { notMigratableOf } from '../migration/migratable.ts'
import { buildMigrationReport } from '../migration/report.ts'
import type { GuestState, PausedBy } from './state.ts'

const PAUSED: Record<PausedBy, { reason: string; message: string }> = {
  user: { reason: 'PausedByUser', message: 'VMI was paused by user' },
  'io-error': { reason: 'PausedIOError', message: 'VMI was paused, low-level IO error detected' },
  fence: {
    reason: 'NodeCutOff',
    message: 'VMI was paused, as its node had heard of no controller for too long',
  },
  unknown: { reason: 'Paused', message: 'VMI is paused' },
}

/** What the node says of a guest. */
export function buildReport(state: GuestState): GuestReport {
  const { guest, epoch, phase, reason, message, status, events, migration, readiness } = state
  return {
    guest,
    epoch,
    phase,
    ...(reason && { reason }),
    ...(message && { message }),
    conditions: conditionsOf(state),
    status: withAgent(status, state),
    ...(state.failover !== undefined && { failoverSeconds: state.failover }),
    ...(state.pausedBy === 'fence' && { held: true }),
    ...(readiness?.ready === false && { unready: readiness.message }),
    ...(migration && { migration: buildMigrationReport(migration) }),
    events,
  }
}

/** Conditions that hold; one that does not is absent. Source: contract 7.5. */
function conditionsOf(state: GuestState): Condition[] {
  const { phase, trouble, pausedBy, build } = state
  const notMigratable = notMigratableOf(state)
  const conditions: Condition[] = []
  if (trouble) conditions.push({ type: 'Synchronized', status: 'False', ...trouble })
  if (phase !== 'Running') return conditions
  if (pausedBy) conditions.push({ type: 'Paused', status: 'True', ...PAUSED[pausedBy] })
  conditions.push(...agentConditions(state))
  if (notMigratable) {
    conditions.push({ type: 'LiveMigratable', status: 'False', ...notMigratable })
    conditions.push({
      type: 'StorageLiveMigratable',
      status: 'False',
      reason: 'NotMigratable',
      message: notMigratable.message,
    })
  } else if (build) {
    conditions.push(
      { type: 'LiveMigratable', status: 'True' },
      { type: 'StorageLiveMigratable', status: 'True' },
    )
  }
  return conditions
}
