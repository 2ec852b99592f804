import type { DataVolume } from '../../kinds/cdi.ts'
import type { Condition } from '../../kinds/meta.ts'
import { findCondition } from '../../kinds/meta.ts'
import { DATA_VOLUMES } from '../../kinds/table.ts'
import { formatTime } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import { withCondition } from '../conditions.ts'
import type { ControllerParts } from '../parts.ts'

/** How far a DataVolume is. Source: `DataVolumePhase` of CDI. */
export interface DataVolumeNews {
  phase: 'Pending' | 'CloneScheduled' | 'CloneInProgress' | 'Succeeded' | 'Failed'
  /** One word, and a sentence for people. */
  reason: string
  message: string
  /** Of which type the Event is that says so; there is none where absent. */
  event?: 'Normal' | 'Warning'
}

/** Whether nothing more is done about a DataVolume. */
export function isOver({ status }: DataVolume): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** Writes how far a DataVolume is where that is new, and leaves an Event. */
export async function tell(
  { store, events, clock }: Pick<ControllerParts, 'store' | 'events' | 'clock'>,
  volume: DataVolume,
  { phase, reason, message, event }: DataVolumeNews,
): Promise<void> {
  const { conditions: before = [] } = volume.status ?? {}
  const isDone = phase === 'Succeeded'
  const observed: Condition[] = [
    { type: 'Ready', status: isDone ? 'True' : 'False', reason, message },
    { type: 'Running', status: phase === 'CloneInProgress' ? 'True' : 'False', reason, message },
  ]
  const now = formatTime(clock.now())
  const conditions = observed.reduce<readonly Condition[]>(
    (list, condition) => withCondition(list, condition, now),
    before,
  )
  const status = {
    ...volume.status,
    phase,
    claimName: volume.metadata.name,
    progress: isDone ? '100.0%' : 'N/A',
    conditions: [...conditions],
  }
  if (isSameJson(status, volume.status)) return
  const stored = await store.update(DATA_VOLUMES, { ...volume, status }, { subresource: 'status' })
  if (event && findCondition(before, 'Ready')?.reason !== reason)
    events.record(stored, event, reason, message)
}
