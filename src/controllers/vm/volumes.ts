import { configurationOf, hasGate } from '../../kinds/configuration.ts'
import { isFinal, type Vmi, type VmiSpec } from '../../kinds/kubevirt.ts'
import { PVCS, VMIS, VMS } from '../../kinds/table.ts'
import { memoryDumpVolume, withoutVolume, withVolume } from '../../kinds/volumes.ts'
import { hasReason, StatusError } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { applyRequest, followTemplate, isCarriedOut } from './live-volumes.ts'
import { DUMP_ANNOTATION, type DumpPlan, planDump, type Presence } from './memory-dump.ts'
import type { VmContext } from './reconcile.ts'
import type { VmPass } from './status.ts'

/** How changes of volumes reach a running guest. Source: contract 3.9, "Gates"; 7.3, CT-9 and CT-10. */
export type LiveMode = 'requests' | 'declarative' | 'none'

/** The mode that the feature gates ask for now. */
export function liveModeOf({ kubeVirts }: Pick<VmContext, 'kubeVirts'>): LiveMode {
  const configuration = configurationOf(kubeVirts.list())
  if (hasGate(configuration, 'HotplugVolumes')) return 'requests'
  return hasGate(configuration, 'DeclarativeHotplugVolumes') ? 'declarative' : 'none'
}

/**
 * Carries out requests about volumes and memory dumps: in the template, then in the running guest. Writes into `pass`
 * what is left of them. Throws 409 where VM or VMI have changed since they were read.
 */
export async function convergeVolumes(context: VmContext, pass: VmPass): Promise<void> {
  const { memoryDump } = pass
  const plan = memoryDump && planDump(memoryDump, pass.vmi, pass.now)
  try {
    await convergeTemplate(context, pass, plan)
    const isReached = await convergeGuest(context, pass, plan)
    trimRequests(pass, isReached)
    if (plan && (isReached || plan.guest !== 'with')) await advanceDump(context, pass, plan)
  } catch (error) {
    if (!(error instanceof StatusError) || error.reason === 'Conflict') throw error
    note(context, pass, error.message)
  }
}

async function convergeTemplate(context: VmContext, pass: VmPass, plan: DumpPlan | undefined): Promise<void> {
  const { template } = pass.vm.spec
  const asked = pass.volumeRequests.reduce(applyRequest, template.spec)
  const spec = withPresence(asked, pass, plan?.template)
  if (spec === template.spec) return
  try {
    const next = { ...pass.vm, spec: { ...pass.vm.spec, template: { ...template, spec } } }
    pass.vm = await context.store.update(VMS, next)
  } catch (error) {
    // What is refused now is refused for ever; it must not stand in the way of what is asked for later.
    if (hasReason(error, 'Invalid')) pass.volumeRequests = []
    throw error
  }
}

/** Whether the guest is as it is to be, or there is none that could be. */
async function convergeGuest(context: VmContext, pass: VmPass, plan: DumpPlan | undefined): Promise<boolean> {
  const { vmi } = pass
  if (!vmi || pass.deletedNow || pass.createdNow || vmi.metadata.deletionTimestamp !== undefined) return true
  if (vmi.status?.phase !== 'Running') return isFinal(vmi.status?.phase)
  const spec = withPresence(followVm(context, pass, vmi), pass, plan?.guest)
  if (isSameJson(spec, vmi.spec)) return true
  // Its devices are tied down; the end of the migration brings another pass.
  if (isMigrating(vmi)) return false
  pass.vmi = await context.store.update(VMIS, { ...vmi, spec })
  return true
}

function followVm(context: VmContext, { vm, volumeRequests }: VmPass, vmi: Vmi): VmiSpec {
  const mode = liveModeOf(context)
  if (mode === 'declarative') return followTemplate(vm.spec.template.spec, vmi)
  return mode === 'requests' ? volumeRequests.reduce(applyRequest, vmi.spec) : vmi.spec
}

function withPresence(spec: VmiSpec, { memoryDump }: VmPass, presence: Presence = 'as it is'): VmiSpec {
  if (!memoryDump || presence === 'as it is') return spec
  const { claimName } = memoryDump
  if (presence === 'with') return withVolume(spec, memoryDumpVolume(claimName), undefined)
  const isThere = spec.volumes?.some((volume) => volume.name === claimName && volume.memoryDump)
  return isThere ? withoutVolume(spec, claimName) : spec
}

/** Source: contract 7.3, CT-9. */
function trimRequests(pass: VmPass, isReached: boolean): void {
  if (!isReached) return
  const { spec } = pass.vm.spec.template
  pass.volumeRequests = pass.volumeRequests.filter((request) => !isCarriedOut(spec, request))
}

async function advanceDump(
  { store }: VmContext,
  pass: VmPass,
  { next, annotation }: DumpPlan,
): Promise<void> {
  const { memoryDump, vm } = pass
  if (annotation !== undefined && memoryDump && !isSameJson(next, memoryDump)) {
    const body = { metadata: { annotations: { [DUMP_ANNOTATION]: annotation } } }
    try {
      await store.patch(PVCS, vm.metadata.namespace, memoryDump.claimName, { type: 'merge', body })
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error
    }
  }
  pass.memoryDump = next
}

function isMigrating({ status }: Vmi): boolean {
  const { startTimestamp, endTimestamp } = status?.migrationState ?? {}
  return Boolean(startTimestamp) && !endTimestamp
}

function note({ events }: VmContext, pass: VmPass, message: string): void {
  const before = pass.vm.status?.conditions?.find(({ type }) => type === 'Failure')
  pass.failure ??= { reason: 'HotPlugVolumeError', message }
  if (before?.message !== message) events.record(pass.vm, 'Warning', 'HotPlugVolumeError', message)
}
