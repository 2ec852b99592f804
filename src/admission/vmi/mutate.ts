/** What a new VMI is given. Contract: MUT-VMI-020 … 045. */
import { VMI_FINALIZER, type Vmi, type VmiSpec } from '../../kinds/kubevirt.ts'
import { formatTime } from '../../lib/clock.ts'
import type { ReviewInput } from '../review-input.ts'
import { completeArchitecture, completeDevices } from './device-defaults.ts'
import { completeHotplug } from './hotplug-defaults.ts'
import { completeHyperv } from './hyperv-defaults.ts'
import { completeSkeleton, completeSpec } from './spec-defaults.ts'

/** The user QEMU's processes run as in KubeVirt. */
const RUNTIME_USER = 107
const PCI_TOPOLOGY = 'kubevirt.io/pci-topology-version'

/** Completes the spec. */
export function completeVmiSpec(input: ReviewInput<Vmi>): void {
  const { object, config } = input
  const spec = (object.spec = completeSkeleton(object.spec))
  completeSpec(spec, config)
  completeDevices(spec, () => input.newUid())
  completeHyperv(spec)
  completeArchitecture(spec, config)
}

/** Notes in the status what the guest starts with; done before hot-plug maxima are set. */
export function completeVmiStatus({ object }: ReviewInput<Vmi>): void {
  const { memory, cpu } = object.spec.domain
  const status = (object.status ??= {})
  const guest = memory?.guest
  status.guestOSInfo ??= {}
  if (guest !== undefined) status.memory = { guestAtBoot: guest, guestCurrent: guest, guestRequested: guest }
  status.currentCPUTopology ??= {
    ...(cpu?.cores && { cores: cpu.cores }),
    ...(cpu?.sockets && { sockets: cpu.sockets }),
    ...(cpu?.threads && { threads: cpu.threads }),
  }
}

/** Sets how far the guest may grow. */
export function completeVmiHotplug({ object, config }: ReviewInput<Vmi>): void {
  completeHotplug(object.spec, config)
}

/** Whether devices are plugged into PCI Express ports. Contract: MUT-PCI. */
export function usesPcie({ architecture = '', domain }: VmiSpec): boolean {
  if (!['', 'amd64', 'arm64'].includes(architecture)) return false
  const type = domain.machine?.type ?? ''
  return !domain.machine || type.includes('q35') || type.startsWith('virt')
}

/** The annotations with the version of the PCI layout, so that a later version keeps to it. */
export function withPciTopology(annotations: Record<string, string> = {}): Record<string, string> {
  return { [PCI_TOPOLOGY]: 'v3', ...annotations }
}

const EVEN_PARITY = 'alpha.kubevirt.io/EmulatorThreadCompleteToEvenParity'
const QGS_SOCKET = 'kubevirt.io/qgs-socket-path'

/** Hands on to the guest's launcher what the KubeVirt object says. Contract: MUT-VMI-041, 042; CRASH-012. */
export function annotateSettings({ object, config }: ReviewInput<Vmi>): void {
  const { metadata, spec } = object
  const { cpu, launchSecurity } = spec.domain
  const isEven = cpu?.isolateEmulatorThread && config.completesToEvenParity && config.isGateOn('AlignCPUs')
  const socket = launchSecurity?.tdx ? config.qgsSocketPath : ''
  if (!isEven && socket === '') return
  metadata.annotations = {
    ...metadata.annotations,
    ...(isEven && { [EVEN_PARITY]: '' }),
    ...(socket !== '' && { [QGS_SOCKET]: socket }),
  }
}

/** Marks the VMI as pending and keeps it until its guest is gone. */
export function beginVmi({ object, config, clock }: ReviewInput<Vmi>): void {
  const { metadata } = object
  if (usesPcie(object.spec)) metadata.annotations = withPciTopology(metadata.annotations)
  metadata.finalizers = [...(metadata.finalizers ?? []), VMI_FINALIZER]
  const status = (object.status ??= {})
  if (!config.isGateOn('Root')) status.runtimeUser = RUNTIME_USER
  status.phase = 'Pending'
  const transition = { phase: 'Pending', phaseTransitionTimestamp: formatTime(clock.now()) } as const
  status.phaseTransitionTimestamps = [...(status.phaseTransitionTimestamps ?? []), transition]
}

/** Only KubeVirt itself says how a guest is; what others say about it is put back. Contract: MUT-VMI-010. */
export function keepVmiStatus({ object, old, isKubeVirt }: ReviewInput<Vmi>): void {
  if (isKubeVirt) return
  if (old?.status === undefined) delete object.status
  else object.status = structuredClone(old.status)
}
