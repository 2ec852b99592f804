import type { Vm, Vmi } from '../../kinds/kubevirt.ts'
import { isFinal } from '../../kinds/kubevirt.ts'

/** `VM.status.memoryDumpRequest`. */
export type DumpRequest = NonNullable<NonNullable<Vm['status']>['memoryDumpRequest']>

/** Whether the dump's volume is to be there. */
export type Presence = 'with' | 'without' | 'as it is'

/** What is to be done about a memory dump. Source: contract 7.8. */
export interface DumpPlan {
  /** `undefined`: the request is done with. */
  next: DumpRequest | undefined
  template: Presence
  guest: Presence
  /** Annotation `kubevirt.io/memory-dump` of the claim. */
  annotation?: string
}

/** Annotation of a claim: the name of the file with the latest dump, or that it failed. */
export const DUMP_ANNOTATION = 'kubevirt.io/memory-dump'
const FAILURE_MARK = 'Memory dump failed'
const NOT_RUNNING = 'the guest does not run: start the VM, and dump its memory then'

/** The next step of a memory dump, in the state that request and guest are in. `now` is RFC 3339. */
export function planDump(request: DumpRequest, vmi: Vmi | undefined, now: string): DumpPlan {
  const phase = request.remove && request.phase !== 'Completed' ? 'Dissociating' : request.phase
  const entry = vmi?.status?.volumeStatus?.find(({ name }) => name === request.claimName)
  const isUp = vmi !== undefined && !isFinal(vmi.status?.phase)
  switch (phase) {
    case 'Associating':
      if (!isUp) return failed(request, NOT_RUNNING, now)
      // The volume of the dump before has to be gone, or its end would be taken for that of this one.
      if (isOver(entry)) return { next: request, template: 'with', guest: 'without' }
      return { next: { ...request, phase: 'InProgress' }, template: 'with', guest: 'with' }
    case 'InProgress':
      return isUp ? follow(request, entry, now) : failed(request, NOT_RUNNING, now)
    case 'Unmounting':
      return {
        next: isUp && entry ? request : { ...request, phase: 'Completed' },
        template: 'as it is',
        guest: 'without',
      }
    case 'Failed':
      return { next: request, template: 'as it is', guest: 'without' }
    case 'Dissociating': {
      const isIn = vmi?.spec.volumes?.some(({ name, memoryDump }) => memoryDump && name === request.claimName)
      const next = isUp && (entry ?? isIn) ? { ...request, phase } : undefined
      return { next, template: 'without', guest: 'without' }
    }
    default:
      return { next: request, template: 'as it is', guest: 'as it is' }
  }
}

type Entry = NonNullable<NonNullable<Vmi['status']>['volumeStatus']>[number]

function isOver(entry: Entry | undefined): boolean {
  return entry?.phase === 'MemoryDumpCompleted' || entry?.phase === 'MemoryDumpFailed'
}

function follow(request: DumpRequest, entry: Entry | undefined, now: string): DumpPlan {
  const { startTimestamp, endTimestamp, targetFileName } = entry?.memoryDumpVolume ?? {}
  if (entry?.phase === 'MemoryDumpFailed') {
    return failed(request, entry.message ?? FAILURE_MARK, endTimestamp ?? now)
  }
  if (entry?.phase !== 'MemoryDumpCompleted') return { next: request, template: 'with', guest: 'with' }
  return {
    next: {
      ...request,
      phase: 'Unmounting',
      ...(startTimestamp && { startTimestamp }),
      ...(endTimestamp && { endTimestamp }),
      ...(targetFileName && { fileName: targetFileName }),
    },
    template: 'as it is',
    guest: 'without',
    ...(targetFileName && { annotation: targetFileName }),
  }
}

function failed(request: DumpRequest, message: string, endTimestamp: string): DumpPlan {
  return {
    next: { ...request, phase: 'Failed', message, endTimestamp },
    template: 'as it is',
    guest: 'without',
    annotation: FAILURE_MARK,
  }
}
