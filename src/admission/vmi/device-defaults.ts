/** What the parts of a guest get where they say nothing. Contract: MUT-OBJ-001 … 013, MUT-ARCH-001 … 008. */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { AdmissionConfig } from '../config.ts'

/** Completes firmware, features, disks, inputs, GPUs and probes, in place. */
export function completeDevices(spec: VmiSpec, newUid: () => string): void {
  const { domain } = spec
  domain.firmware ??= {}
  domain.features ??= {}
  completeDisks(spec)
  for (const input of domain.devices.inputs ?? []) {
    input.bus ||= 'usb'
    input.type ||= 'tablet'
  }
  for (const gpu of domain.devices.gpus ?? []) {
    const ramFb = gpu.virtualGPUOptions?.display?.ramFB
    if (ramFb) ramFb.enabled ??= true
  }
  completeProbes(spec)
  domain.firmware.uuid ||= newUid()
  completeTimers(spec)
  completeFeatures(spec)
}

function completeDisks({ domain }: VmiSpec): void {
  for (const disk of domain.devices.disks ?? []) {
    if (!disk.disk && !disk.lun && !disk.cdrom) disk.disk = {}
    if (disk.cdrom) {
      disk.cdrom.readonly ??= true
      disk.cdrom.tray ||= 'closed'
    }
    if (disk.blockSize?.matchVolume) disk.blockSize.matchVolume.enabled ??= true
  }
}

function completeProbes(spec: VmiSpec): void {
  for (const probe of [spec.readinessProbe, spec.livenessProbe]) {
    if (!probe) continue
    if ((probe.timeoutSeconds ?? 0) < 1) probe.timeoutSeconds = 1
    if ((probe.periodSeconds ?? 0) < 1) probe.periodSeconds = 10
    if ((probe.successThreshold ?? 0) < 1) probe.successThreshold = 1
    if ((probe.failureThreshold ?? 0) < 1) probe.failureThreshold = 3
  }
}

function completeTimers({ domain }: VmiSpec): void {
  const { hpet, kvm, pit, rtc, hyperv } = domain.clock?.timer ?? {}
  for (const timer of [hpet, kvm, pit, rtc, hyperv]) if (timer) timer.present ??= true
}

function completeFeatures({ architecture, domain }: VmiSpec): void {
  const features = (domain.features ??= {})
  features.acpi ??= {}
  features.acpi.enabled ??= architecture !== 's390x'
  const { apic, smm, pvspinlock, hyperv = {} } = features
  const { synictimer, tlbflush } = hyperv
  const nested = [synictimer?.direct, tlbflush?.direct, tlbflush?.extended]
  for (const feature of [apic, smm, pvspinlock, ...Object.values(hyperv), ...nested]) {
    if (feature) feature.enabled ??= true
  }
  if (hyperv.spinlocks?.enabled) hyperv.spinlocks.spinlocks ??= 4096
}

/** Completes what depends on the architecture, in place. */
export function completeArchitecture(spec: VmiSpec, config: AdmissionConfig): void {
  const { architecture, domain } = spec
  const isArm = architecture === 'arm64'
  if (isArm) completeArmFirmware(spec)
  setEmptyBuses(spec, isArm || architecture === 's390x' ? 'virtio' : 'sata')
  if (!isArm) completeWatchdog(spec)
  const model = isArm ? 'host-passthrough' : config.cpuModel || 'host-model'
  domain.cpu = { ...domain.cpu, model: domain.cpu?.model || model }
}

function completeArmFirmware({ domain }: VmiSpec): void {
  const firmware = (domain.firmware ??= {})
  firmware.bootloader ??= { efi: {} }
  if (firmware.bootloader.efi) firmware.bootloader.efi.secureBoot ??= false
}

function setEmptyBuses({ domain }: VmiSpec, bus: string): void {
  for (const { disk, lun, cdrom } of domain.devices.disks ?? []) {
    for (const target of [disk, lun, cdrom]) if (target) target.bus ||= bus
  }
}

function completeWatchdog({ architecture, domain }: VmiSpec): void {
  const { watchdog } = domain.devices
  if (!watchdog) return
  const model = architecture === 's390x' ? 'diag288' : 'i6300esb'
  watchdog[model] = { ...watchdog[model], action: watchdog[model]?.action || 'reset' }
}
