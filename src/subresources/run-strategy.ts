import { conflict } from '../lib/errors.ts'
import type { RunStrategy, Vm, Vmi } from '../kinds/kubevirt.ts'
import { VM } from './lookup.ts'

/**
 * Where a VMI stands, as far as the decision tables tell apart: none, unknown, active, succeeded, failed.
 * Source: contract 3.2, "VMI classes".
 */
export type VmiClass = 'none' | 'unknown' | 'active' | 'succeeded' | 'failed'

/** The class of a VMI, or of its absence. */
export function classOf(vmi: Vmi | undefined): VmiClass {
  if (!vmi) return 'none'
  const phase = vmi.status?.phase
  if (!phase || phase === 'Unknown') return 'unknown'
  if (phase === 'Succeeded') return 'succeeded'
  return phase === 'Failed' ? 'failed' : 'active'
}

/** What keeps the VM running. Throws 409 where both ways of saying it are used (contract: PA-5). */
export function runStrategyOf({ metadata, spec }: Vm): RunStrategy {
  const { running, runStrategy } = spec
  const hasRunning = running !== undefined && running !== null
  if (hasRunning && runStrategy) {
    throw conflict(VM, metadata.name, 'spec.running and spec.runStrategy are both set; remove one of them')
  }
  if (runStrategy) return runStrategy
  return running ? 'Always' : 'Halted'
}
