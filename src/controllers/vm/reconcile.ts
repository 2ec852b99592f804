import { formatTime } from '../../lib/clock.ts'
import { hasReason, StatusError } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { isFinal, VM_FINALIZER } from '../../kinds/kubevirt.ts'
import type { KubeVirt, Vm, Vmi } from '../../kinds/kubevirt.ts'
import { isTrue } from '../../kinds/meta.ts'
import { VMIS, VMS } from '../../kinds/table.ts'
import type { Informer } from '../../store/cache.ts'
import type { ControllerParts } from '../parts.ts'
import { adoptVmi, deleteVmi, isLeftBehind, isOwnedBy, mayRelease, releaseVmi } from './children.ts'
import {
  DATA_VOLUME_POLL_MS,
  ensureDataVolumes,
  hasUnboundClaim,
  wantsDataVolumesNow,
} from './data-volumes.ts'
import { keepReferences } from './references.ts'
import { findStaleFields } from './revision.ts'
import { trimRequests } from './requests.ts'
import { countStartFailure } from './start-failure.ts'
import { buildVmStatus } from './status.ts'
import type { VmPass } from './status.ts'
import { carryOut } from './steps.ts'
import { convergeVolumes, liveModeOf } from './volumes.ts'
import { decideStep, effectiveRunStrategy, isSetToStart } from './strategy.ts'
import type { StrategyFacts, VmiState } from './strategy.ts'

/** What a pass over a VM reads and may do. */
export interface VmContext extends Pick<
  ControllerParts,
  'store' | 'events' | 'clock' | 'expander' | 'foreignUses'
> {
  random: () => number
  vms: Pick<Informer<Vm>, 'get'>
  vmis: Pick<Informer<Vmi>, 'get'>
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>
  kubeVirts: Pick<Informer<KubeVirt>, 'list'>
  /** Asks for another pass over this VM. */
  again: (delayMs: number) => void
}

/** One pass over a VM: brings its VMI, and then its status, in line with its spec and its requests. */
export async function reconcileVm(context: VmContext, namespace: string, name: string): Promise<void> {
  const vm = context.vms.get(namespace, name)
  const named = context.vmis.get(namespace, name)
  if (!vm) return releaseOrphan(context, named)
  if (vm.metadata.deletionTimestamp !== undefined) return finishDeletion(context, vm, named)
  const own = await withFinalizer(context, vm)
  await converge(context, own, await ownVmi(context, own, named))
}

/** A VMI whose VM is gone, or has let go of it, needs nobody to record its end. */
async function releaseOrphan({ store }: VmContext, vmi: Vmi | undefined): Promise<void> {
  if (vmi && mayRelease(vmi)) await releaseVmi(store, vmi)
}

async function withFinalizer({ store }: VmContext, vm: Vm): Promise<Vm> {
  const finalizers = vm.metadata.finalizers ?? []
  if (finalizers.includes(VM_FINALIZER)) return vm
  return store.update(VMS, { ...vm, metadata: { ...vm.metadata, finalizers: [...finalizers, VM_FINALIZER] } })
}

async function ownVmi({ store }: VmContext, vm: Vm, named: Vmi | undefined): Promise<Vmi | undefined> {
  if (!named || isOwnedBy(named, vm)) return named
  return isLeftBehind(named) ? adoptVmi(store, vm, named) : undefined
}

/** Source: contract 7.3, preliminaries. */
async function finishDeletion(context: VmContext, vm: Vm, named: Vmi | undefined): Promise<void> {
  const { store } = context
  const vmi = named && isOwnedBy(named, vm) ? named : undefined
  const keepsVmi = vm.metadata.finalizers?.includes('orphan') ?? false
  if (vmi && !keepsVmi) {
    const deletedNow = vmi.metadata.deletionTimestamp === undefined
    if (deletedNow) await deleteVmi(store, vmi)
    await writeStatus(context, { ...startPass(context, vm, vmi), deletedNow })
    if (!deletedNow && mayRelease(vmi)) await releaseVmi(store, vmi)
    return
  }
  // The cache may not have heard of a VMI that this controller made a moment ago.
  const live = await store.get(VMIS, vm.metadata.namespace, vm.metadata.name)
  if (!keepsVmi && live && isOwnedBy(live, vm)) return context.again(100)
  if (!vm.metadata.finalizers?.includes(VM_FINALIZER)) return
  const finalizers = vm.metadata.finalizers.filter((name) => name !== VM_FINALIZER)
  await store.update(VMS, { ...vm, metadata: { ...vm.metadata, finalizers } })
}

async function converge(context: VmContext, vm: Vm, vmi: Vmi | undefined): Promise<void> {
  const pass = startPass(context, vm, vmi)
  const error = await tryToAct(context, pass)
  // Somebody was faster: what was decided rests on what is no longer so.
  if (hasReason(error, 'Conflict')) throw error
  pass.requests = trimRequests(pass.requests, vmi)
  await writeStatus(context, pass)
  // A VMI deleted in this pass has a newer version; the news of it brings the next pass.
  if (vmi && !pass.deletedNow && mayRelease(vmi)) await releaseVmi(context.store, vmi)
  if (error) throw error
}

function startPass({ clock, random, claims }: VmContext, vm: Vm, vmi: Vmi | undefined): VmPass {
  const strategy = effectiveRunStrategy(vm.spec)
  const requests = vm.status?.stateChangeRequests ?? []
  const facts = strategy && strategyFacts(vm, vmi, strategy)
  const before = vm.status?.startFailure
  return {
    vm,
    vmi,
    strategy,
    requests,
    wantsVmi: false,
    createdNow: false,
    deletedNow: false,
    failure: undefined,
    startFailure: strategy && countStartFailure(before, strategy, vmi, clock.now(), random()),
    dataVolumes: 'ready',
    waitsForBinding: facts !== undefined && isSetToStart(facts) && hasUnboundClaim(vm, claims),
    staleFields: [],
    volumeRequests: vm.status?.volumeRequests ?? [],
    memoryDump: vm.status?.memoryDumpRequest,
    now: formatTime(clock.now()),
  }
}

function strategyFacts(vm: Vm, vmi: Vmi | undefined, strategy: StrategyFacts['strategy']): StrategyFacts {
  return {
    strategy,
    vmi: stateOf(vmi),
    first: vm.status?.stateChangeRequests?.[0],
    vmiUid: vmi?.metadata.uid,
    recorded: vm.status?.runStrategy,
  }
}

function stateOf(vmi: Vmi | undefined): VmiState {
  if (!vmi) return 'none'
  const phase = vmi.status?.phase
  if (!isFinal(phase)) return 'active'
  return phase === 'Succeeded' ? 'succeeded' : 'failed'
}

/** Does what the strategy asks for and writes into `pass` what came of it. Returns what went wrong outside. */
async function tryToAct(context: VmContext, pass: VmPass): Promise<unknown> {
  const { vm, vmi, strategy } = pass
  if (!strategy) {
    const message = 'spec.running and spec.runStrategy exclude each other: remove one of them'
    pass.failure = { reason: 'FailedCreate', message }
    return undefined
  }
  const step = decideStep(strategyFacts(vm, vmi, strategy))
  try {
    const isComplete = await keepReferences(context, pass)
    // A preference may say their storage class.
    const mayCreate = isComplete && (step.do === 'create' || wantsDataVolumesNow(vm))
    pass.dataVolumes = await ensureDataVolumes(context, pass.vm, mayCreate)
    if (pass.dataVolumes === 'filling') context.again(DATA_VOLUME_POLL_MS)
    const isBlocked = !isComplete || isTrue(vm.status?.conditions, 'ManualRecoveryRequired')
    if (!(step.do === 'create' && isBlocked)) await carryOut(context, pass, step)
    await convergeVolumes(context, pass)
    pass.staleFields = await staleFields(context, pass)
    return undefined
  } catch (error) {
    pass.failure ??= failureOf(error, step.do === 'delete' ? 'FailedDelete' : 'FailedCreate')
    if (!hasReason(error, 'Conflict')) {
      context.events.record(vm, 'Warning', pass.failure.reason, pass.failure.message)
    }
    return error
  }
}

async function staleFields(context: VmContext, { vm, vmi, deletedNow }: VmPass): Promise<string[]> {
  if (!vmi || deletedNow || vmi.metadata.deletionTimestamp !== undefined) return []
  return isFinal(vmi.status?.phase)
    ? []
    : findStaleFields(context.store, vm, vmi, liveModeOf(context) !== 'none')
}

function failureOf(error: unknown, reason: string): { reason: string; message: string } {
  // Only refusals are worded for clients; the rest is for the log.
  const message =
    error instanceof StatusError ? error.message : 'an internal error: see the log of the controller'
  return { reason, message }
}

async function writeStatus({ store }: VmContext, pass: VmPass): Promise<void> {
  const status = buildVmStatus(pass)
  if (isSameJson(status, pass.vm.status)) return
  await store.update(VMS, { ...pass.vm, status }, { subresource: 'status' })
}
