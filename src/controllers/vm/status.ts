import { copyJson } from '../../lib/json.ts'
import type {
  RunStrategy,
  StartFailure,
  StateChangeRequest,
  Vm,
  Vmi,
  VmStatus,
} from '../../kinds/kubevirt.ts'
import { isTrue } from '../../kinds/meta.ts'
import { buildVmConditions } from './conditions.ts'
import type { SyncFailure } from './conditions.ts'
import type { DataVolumeState } from './data-volumes.ts'
import type { VolumeRequest } from './live-volumes.ts'
import type { DumpRequest } from './memory-dump.ts'
import { printableStatusOf } from './printable-status.ts'
import { generationOf, VM_GENERATION_ANNOTATION } from './template.ts'

/** What one pass over a VM has found out and done. */
export interface VmPass {
  vm: Vm
  /** The VMI as it was before the pass. */
  vmi: Vmi | undefined
  /** `undefined` where the spec contradicts itself. */
  strategy: RunStrategy | undefined
  /** The strategy wants a VMI that does not exist. */
  wantsVmi: boolean
  createdNow: boolean
  deletedNow: boolean
  failure: SyncFailure | undefined
  requests: readonly StateChangeRequest[]
  startFailure: StartFailure | undefined
  dataVolumes: DataVolumeState
  waitsForBinding: boolean
  staleFields: readonly string[]
  /** Requests about volumes that are left. */
  volumeRequests: readonly VolumeRequest[]
  memoryDump: DumpRequest | undefined
  now: string
}

/** The VM's status after a pass; fields of others are kept. Source: contract 7.2. */
export function buildVmStatus(pass: VmPass): VmStatus {
  const { vm, vmi, requests, startFailure, volumeRequests, memoryDump } = pass
  const runStrategy = recordedStrategy(pass)
  const {
    stateChangeRequests: _requests,
    startFailure: _failure,
    volumeRequests: _volumes,
    memoryDumpRequest: _dump,
    ...others
  } = vm.status ?? {}
  return copyJson({
    ...others,
    created: vmi !== undefined || pass.createdNow,
    ready: isTrue(vmi?.status?.conditions, 'Ready'),
    printableStatus: printableStatusOf({
      isDeleting: vm.metadata.deletionTimestamp !== undefined,
      strategy: pass.strategy,
      vmi,
      createdNow: pass.createdNow,
      deletedNow: pass.deletedNow,
      dataVolumes: pass.dataVolumes,
      waitsForBinding: pass.waitsForBinding,
      startFailures: startFailure?.consecutiveFailCount ?? 0,
    }),
    conditions: buildVmConditions({
      before: vm.status?.conditions ?? [],
      vmi,
      failure: pass.failure,
      restartNeededFor: pass.staleFields,
      now: pass.now,
    }),
    ...(runStrategy && { runStrategy }),
    ...(requests.length > 0 && { stateChangeRequests: [...requests] }),
    ...(startFailure && { startFailure }),
    ...(volumeRequests.length > 0 && { volumeRequests: [...volumeRequests] }),
    ...(memoryDump && { memoryDumpRequest: memoryDump }),
    observedGeneration: observedGeneration(pass),
    desiredGeneration: generationOf(vm),
  })
}

/**
 * The strategy to record: from the first time a VMI existed on. Not while a VMI is wanted and could not be made:
 * RerunOnFailure tells from a recorded strategy that differs that it has just been chosen, and starts.
 */
function recordedStrategy({ vm, vmi, createdNow, wantsVmi, strategy }: VmPass): RunStrategy | undefined {
  const before = vm.status?.runStrategy
  if (vmi || createdNow) return strategy ?? before
  return before === undefined || wantsVmi ? before : (strategy ?? before)
}

/** The generation that the guest is an image of: that of its start, or today's while the templates agree. */
function observedGeneration({ vm, vmi, staleFields }: VmPass): number {
  const startedWith = Number(vmi?.metadata.annotations?.[VM_GENERATION_ANNOTATION])
  return staleFields.length > 0 && startedWith > 0 ? startedWith : generationOf(vm)
}
