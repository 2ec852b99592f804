import { isFinal } from '../../kinds/kubevirt.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import { isTrue } from '../../kinds/meta.ts'
import type { Condition } from '../../kinds/meta.ts'
import { placementOf } from './placed.ts'

/** What readiness depends on besides the VMI itself. */
export interface ReadyFacts {
  /** The node has not been heard of for so long that nothing can be said of the guest. */
  nodeAway: boolean
  /** What the node is busy with, for people. */
  progress: string | undefined
  /** Why the guest does not do its work although it runs, for people. */
  unready?: string | undefined
}

/** Whether the guest does its work, and why not. Source: contract 7.5, `Ready`. */
export function readyConditionOf(vmi: Vmi, { nodeAway, progress, unready }: ReadyFacts): Condition {
  const { metadata, status } = vmi
  if (placementOf(vmi) === undefined) return no('PodNotExists', 'no node has the guest')
  if (metadata.deletionTimestamp !== undefined || isFinal(status?.phase)) {
    return no('PodTerminating', 'the guest is being stopped')
  }
  if (nodeAway)
    return no('NodeNotReady', 'the node of the guest does not answer; the guest may still run there')
  if (status?.phase !== 'Running') return no('GuestNotRunning', progress || 'the guest does not run yet')
  if (isTrue(status.conditions, 'Paused')) return no('ReadinessGatesNotReady', 'the guest is paused')
  if (unready) return no('ContainersNotReady', unready)
  return { type: 'Ready', status: 'True' }
}

function no(reason: string, message: string): Condition {
  return { type: 'Ready', status: 'False', reason, message }
}
