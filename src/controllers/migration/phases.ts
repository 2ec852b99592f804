import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi, Vmim } from '../../kinds/kubevirt.ts'
import { findCondition, isTrue } from '../../kinds/meta.ts'
import { isMigrationOver, MIGRATION_PHASES } from '../../kinds/migration.ts'
import type { MigrationPhase, VmimStatus } from '../../kinds/migration.ts'
import { isInFlight } from './state.ts'

/** A phase, and why: for `Failed` alone, beginning with one of the contract's words. */
export interface Standing {
  phase: MigrationPhase
  failure?: string
}

/** Phases in which a migration is under way for its VMI. */
const UNDER_WAY: readonly unknown[] = ['PreparingTarget', 'TargetReady', 'Running']

/**
 * Where a migration stands, as it follows from its VMI and the other migrations of that; whether a pending one may
 * begin is decided elsewhere. `vmi` is absent where there is none for certain. Source: contract 7.6.
 */
export function standingOf(vmim: Vmim, vmi: Vmi | undefined, others: readonly Vmim[]): Standing {
  const phase = vmim.status?.phase || undefined
  if (isMigrationOver(phase) && phase) return { phase }
  const state = vmi?.status?.migrationState
  const isOurs = state?.migrationUid === vmim.metadata.uid
  if (isOurs && state.failed) return failedWith(state.failureReason ?? 'internal: no reason is known')
  if (isOurs && state.completed) return { phase: hasChangesLeft(vmi) ? 'Running' : 'Succeeded' }
  if (!vmi) return failedWith('aborted: the VMI does not exist')
  if (isFinal(vmi.status?.phase) && !isInFlight(vmi)) return failedWith('aborted: the guest has ended')
  if (isOurs) return { phase: phaseOf(vmi) }
  if (UNDER_WAY.includes(phase)) {
    return failedWith('internal: the VMI does not know of the migration any more')
  }
  if (vmim.metadata.deletionTimestamp !== undefined) return failedWith('aborted: the migration was deleted')
  if (phase !== undefined) return { phase }
  if ('sendTo' in vmim.spec || 'receive' in vmim.spec) {
    return failedWith('internal: migration between clusters is not supported: leave sendTo and receive out')
  }
  const other = others.find((one) => isBefore(one, vmim))
  return other
    ? failedWith(`aborted: the VMI is being migrated by ${other.metadata.name}`)
    : { phase: 'Pending' }
}

function failedWith(failure: string): Standing {
  return { phase: 'Failed', failure }
}

/** How far a migration has got that is under way. */
function phaseOf({ status }: Vmi): MigrationPhase {
  const { startTimestamp, targetNodeAddress } = status?.migrationState ?? {}
  if (startTimestamp !== undefined) return 'Running'
  return targetNodeAddress === undefined ? 'PreparingTarget' : 'TargetReady'
}

/** Whether what the migration was for is still to be done. Source: contract 7.6, `Running` → `Succeeded`. */
function hasChangesLeft(vmi: Vmi | undefined): boolean {
  const conditions = vmi?.status?.conditions
  if (isFinal(vmi?.status?.phase)) return false
  return (
    findCondition(conditions, 'HotVCPUChange') !== undefined ||
    isTrue(conditions, 'HotMemoryChange') ||
    isTrue(conditions, 'MigrationRequired')
  )
}

/** Whether that migration is not over, and goes before this one. */
function isBefore(one: Vmim, vmim: Vmim): boolean {
  if (one.metadata.uid === vmim.metadata.uid || isMigrationOver(one.status?.phase)) return false
  if (one.status?.phase) return true
  const [left, right] = [one.metadata, vmim.metadata]
  if (left.creationTimestamp !== right.creationTimestamp)
    return left.creationTimestamp < right.creationTimestamp
  return left.name < right.name
}

/**
 * The status in a later phase, each phase passed on the way recorded with its time. The same status where that would
 * lead back, or out of an end.
 */
export function advance(status: VmimStatus, to: MigrationPhase, now: string): VmimStatus {
  const from = status.phase || undefined
  if (from === to || isMigrationOver(from)) return status
  const passed = phasesBetween(from, to)
  if (passed.length === 0) return status
  const times = passed.map((phase) => ({ phase, phaseTransitionTimestamp: now }))
  return {
    ...status,
    phase: to,
    phaseTransitionTimestamps: [...(status.phaseTransitionTimestamps ?? []), ...times],
  }
}

function phasesBetween(from: MigrationPhase | undefined, to: MigrationPhase): MigrationPhase[] {
  if (to === 'Failed') return ['Failed']
  const start = from === undefined ? -1 : MIGRATION_PHASES.indexOf(from)
  return MIGRATION_PHASES.slice(start + 1, MIGRATION_PHASES.indexOf(to) + 1)
}

/** When the migration got to that phase, in milliseconds since 1970. */
export function sinceMs({ status, metadata }: Vmim, phase: MigrationPhase): number {
  const reached = status?.phaseTransitionTimestamps?.findLast((one) => one.phase === phase)
  return Date.parse(reached?.phaseTransitionTimestamp ?? metadata.creationTimestamp)
}
