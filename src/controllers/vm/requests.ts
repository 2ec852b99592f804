import { isFinal } from '../../kinds/kubevirt.ts'
import type { StateChangeRequest, Vmi } from '../../kinds/kubevirt.ts'

/**
 * The pending requests without the first where it has been carried out or is meant for another VMI; one a pass.
 * Source: contract 7.3, CT-1.
 */
export function trimRequests(
  requests: readonly StateChangeRequest[],
  vmi: Vmi | undefined,
): readonly StateChangeRequest[] {
  const [first, ...rest] = requests
  if (!first) return requests
  const isDone = first.action === 'Stop' ? isStopDone(first, vmi) : isStartDone(vmi)
  return isDone ? rest : requests
}

function isStopDone({ uid }: StateChangeRequest, vmi: Vmi | undefined): boolean {
  return !vmi || !uid || uid !== vmi.metadata.uid
}

function isStartDone(vmi: Vmi | undefined): boolean {
  return vmi !== undefined && vmi.metadata.deletionTimestamp === undefined && !isFinal(vmi.status?.phase)
}

/** Whether the first request asks for a guest whose virtual CPUs stand still. Source: contract 7.3, CT-3. */
export function asksForPausedStart(requests: readonly StateChangeRequest[]): boolean {
  const [first] = requests
  return first?.action === 'Start' && first.data?.['paused'] === 'true'
}
