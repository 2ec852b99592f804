import { formatTime } from '../../lib/clock.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import type { RunStrategy, StartFailure, Vmi } from '../../kinds/kubevirt.ts'

const STEP_MS = 10_000
const LONGEST_MS = 300_000
const COUNTED: readonly RunStrategy[] = ['Always', 'RerunOnFailure', 'Once']

/**
 * The count of failed starts after a look at the VMI: a VMI that became final without ever having been Running
 * counts once. `undefined` where there is nothing to count any more.
 *
 * `random` is in [0, 1). Source: contract 7.3, CT-5.
 */
export function countStartFailure(
  before: StartFailure | undefined,
  strategy: RunStrategy,
  vmi: Vmi | undefined,
  nowMs: number,
  random: number,
): StartFailure | undefined {
  if (!COUNTED.includes(strategy) || (vmi && wasRunning(vmi))) return undefined
  if (!vmi || !isFinal(vmi.status?.phase) || before?.lastFailedVMIUID === vmi.metadata.uid) return before
  const failures = (before?.consecutiveFailCount ?? 0) + 1
  return {
    consecutiveFailCount: failures,
    lastFailedVMIUID: vmi.metadata.uid,
    retryAfterTimestamp: formatTime(nowMs + startDelayMs(failures, random)),
  }
}

/** Milliseconds to wait after that many failed starts: 10 s × n², plus up to half of it, at most 300 s. */
export function startDelayMs(failures: number, random: number): number {
  const delayMs = STEP_MS * failures ** 2
  return Math.min(LONGEST_MS, delayMs + (delayMs / 2) * random)
}

/** Milliseconds until the next start may be tried; 0 when it may be now. */
export function startWaitMs(failure: StartFailure | undefined, nowMs: number): number {
  if (!failure?.retryAfterTimestamp) return 0
  return Math.max(0, Date.parse(failure.retryAfterTimestamp) - nowMs)
}

function wasRunning({ status }: Vmi): boolean {
  if (status?.phase === 'Running') return true
  return status?.phaseTransitionTimestamps?.some(({ phase }) => phase === 'Running') ?? false
}
