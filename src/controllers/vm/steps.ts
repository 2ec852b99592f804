import { deriveVm } from '../../instancetype/derive.ts'
import { hasReferences, InstancetypeError } from '../../instancetype/references.ts'
import { hasReason } from '../../lib/errors.ts'
import type { Vm } from '../../kinds/kubevirt.ts'
import { findCondition } from '../../kinds/meta.ts'
import { VMS } from '../../kinds/table.ts'
import { readAs } from './account.ts'
import type { VmContext } from './reconcile.ts'
import { createVmi, deleteVmi } from './children.ts'
import { asksForPausedStart } from './requests.ts'
import { startWaitMs } from './start-failure.ts'
import type { VmPass } from './status.ts'
import type { Step } from './strategy.ts'

/** Does one step and notes in `pass` what came of it. Throws what the store refuses. */
export async function carryOut(context: VmContext, pass: VmPass, step: Step): Promise<void> {
  switch (step.do) {
    case 'nothing':
      return
    case 'create':
      pass.wantsVmi = true
      return create(context, pass, step.backOff)
    case 'delete':
      return remove(context, pass)
    case 'restart':
      // Written with the status before anything is deleted, so that the Start cannot get lost.
      pass.requests = [...pass.requests, { action: 'Start' }]
      return
    case 'always':
      pass.vm = await context.store.update(VMS, switchedOn(pass.vm))
      return
    case 'refuse':
      refuse(context, pass, step.message)
  }
}

async function create(context: VmContext, pass: VmPass, backOff: boolean): Promise<void> {
  const { store, events, clock, vmis, expander } = context
  const { vm } = pass
  const { namespace, name } = vm.metadata
  if (vmis.get(namespace, name)) return refuse(context, pass, foreign(name))
  // What the VM waits for shows in its printable status.
  if (pass.dataVolumes !== 'ready') return
  const waitMs = backOff ? startWaitMs(pass.startFailure, clock.now()) : 0
  if (waitMs > 0) return context.again(waitMs)
  try {
    const derived = await deriveVm(readAs(context, vm), vm)
    const template = hasReferences(derived) ? await expander.expandTemplate(derived) : derived.spec.template
    await createVmi(store, vm, { paused: asksForPausedStart(pass.requests), template })
  } catch (error) {
    // Told until somebody changes the VM.
    if (error instanceof InstancetypeError) return refuse(context, pass, error.message)
    // The cache has not heard of it yet; the pass that follows its news goes on from there.
    if (hasReason(error, 'AlreadyExists')) return context.again(100)
    throw error
  }
  pass.createdNow = true
  events.record(vm, 'Normal', 'SuccessfulCreate', `Started the virtual machine: created its instance ${name}`)
}

function foreign(name: string): string {
  return (
    `a VirtualMachineInstance named ${name} exists and does not belong to this VM: ` +
    'delete it, or give the VM another name'
  )
}

async function remove({ store, events }: VmContext, pass: VmPass): Promise<void> {
  const { vm, vmi } = pass
  if (!vmi || vmi.metadata.deletionTimestamp !== undefined) return
  await deleteVmi(store, vmi)
  pass.deletedNow = true
  const { name } = vmi.metadata
  events.record(vm, 'Normal', 'SuccessfulDelete', `Stopped the virtual machine: deleted its instance ${name}`)
}

/** Notes why there is no VMI. */
export function refuse({ events }: VmContext, pass: VmPass, message: string): void {
  pass.failure = { reason: 'FailedCreate', message }
  // Said once; the condition keeps saying it.
  if (findCondition(pass.vm.status?.conditions, 'Failure')?.message === message) return
  events.record(pass.vm, 'Warning', 'FailedCreate', message)
}

/** The VM with strategy Always, in the field it has been using. Source: contract 3.1.8 and 7.3. */
function switchedOn(vm: Vm): Vm {
  const { running: _running, runStrategy: _runStrategy, ...others } = vm.spec
  return {
    ...vm,
    spec: vm.spec.runStrategy ? { ...others, runStrategy: 'Always' } : { ...others, running: true },
  }
}
