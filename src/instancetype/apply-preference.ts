/** Gives a guest what its preference says, where it does not say otherwise itself. Contract: admission-vm.md, 2.4. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec, VmiTemplate } from '../kinds/kubevirt.ts'
import { preferDevices } from './prefer-devices.ts'
import { preferFeatures } from './prefer-features.ts'
import { preferFirmware } from './prefer-firmware.ts'

/** Writes the preference into a template that has its instance type already, in place. Contract: VM-PREF-018. */
export function applyPreference(template: VmiTemplate, preference: PreferenceSpec): void {
  const { spec } = template
  preferCpuFeatures(spec, preference)
  if (preference.devices) preferDevices(spec, preference.devices)
  if (preference.features) preferFeatures(spec, preference.features)
  if (preference.firmware) preferFirmware(spec, preference.firmware)
  preferMachine(spec, preference)
  preferClock(spec, preference)
  preferRest(spec, preference)
  if (preference.annotations) {
    template.metadata = {
      ...template.metadata,
      annotations: { ...preference.annotations, ...template.metadata?.annotations },
    }
  }
}

/** Contract: VM-PREF-001; CRASH-007. */
function preferCpuFeatures({ domain }: VmiSpec, { cpu }: PreferenceSpec): void {
  const preferred = cpu?.preferredCPUFeatures ?? []
  if (preferred.length === 0) return
  const features = domain.cpu?.features ?? []
  const known = new Set(features.map(({ name }) => name))
  const missing = preferred.filter(({ name }) => !known.has(name))
  domain.cpu = { ...domain.cpu, features: [...features, ...structuredClone(missing)] }
}

/** Contract: VM-PREF-014, MUT-VM-021. */
export function preferMachine({ domain }: VmiSpec, { machine }: PreferenceSpec): void {
  if (!machine?.preferredMachineType || domain.machine?.type) return
  domain.machine = { ...domain.machine, type: machine.preferredMachineType }
}

/** Contract: VM-PREF-015. */
function preferClock({ domain }: VmiSpec, { clock: preferred }: PreferenceSpec): void {
  if (!preferred) return
  const clock = (domain.clock ??= {})
  const { preferredClockOffset: offset, preferredTimer: timer } = preferred
  if (offset && !clock.utc && clock.timezone === undefined) Object.assign(clock, structuredClone(offset))
  if (timer) clock.timer ??= structuredClone(timer)
}

/** Contract: VM-PREF-017, MUT-VM-020. */
export function preferArchitecture(spec: VmiSpec, { preferredArchitecture }: PreferenceSpec): void {
  if (preferredArchitecture) spec.architecture ||= preferredArchitecture
}

/** Contract: VM-PREF-016, 017, 019. */
function preferRest(spec: VmiSpec, preference: PreferenceSpec): void {
  const { preferredSubdomain, preferredTerminationGracePeriodSeconds, preferredLaunchSecurity } = preference
  if (preferredSubdomain) spec.subdomain ||= preferredSubdomain
  if (preferredTerminationGracePeriodSeconds !== undefined) {
    spec.terminationGracePeriodSeconds ??= preferredTerminationGracePeriodSeconds
  }
  preferArchitecture(spec, preference)
  if (preferredLaunchSecurity) spec.domain.launchSecurity ??= structuredClone(preferredLaunchSecurity)
}
