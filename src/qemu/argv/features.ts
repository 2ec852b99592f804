import type { Build } from './build.ts'
import { checkText, DOMAIN, isOn, type Features } from './spec.ts'

const FEATURES = DOMAIN.child('features')
const HYPERV = FEATURES.child('hyperv')
type Hyperv = NonNullable<Features['hyperv']>

/** Enlightenments that are one flag of the CPU each. Source: contract 1.4. */
const HYPERV_FLAGS = {
  relaxed: 'hv-relaxed',
  vapic: 'hv-vapic',
  vpindex: 'hv-vpindex',
  runtime: 'hv-runtime',
  synic: 'hv-synic',
  synictimer: 'hv-stimer',
  reset: 'hv-reset',
  frequencies: 'hv-frequencies',
  reenlightenment: 'hv-reenlightenment',
  tlbflush: 'hv-tlbflush',
  ipi: 'hv-ipi',
  evmcs: 'hv-evmcs',
} as const satisfies Partial<Record<keyof Hyperv, string>>
const SPINLOCK_RETRIES = 4096
/** It is 12 bytes in a CPUID answer. */
const VENDOR_LIMIT = 12

/** What the machine and its CPUs can do beside computing. */
export function addFeatures(build: Build): void {
  const { acpi, apic, smm, kvm, pvspinlock } = build.plan.spec.domain.features ?? {}
  if (acpi && !isOn(acpi)) build.machine.push(['acpi', false])
  if (apic && !isOn(apic)) build.cpuFlags.push('apic=off')
  if (smm) build.machine.push(['smm', isOn(smm)])
  if (kvm?.hidden) build.cpuFlags.push('kvm=off')
  if (apic?.endOfInterrupt) addKvmFlag(build, 'apic.endOfInterrupt', 'kvm-pv-eoi=on')
  if (pvspinlock) addKvmFlag(build, 'pvspinlock', `kvm-pv-unhalt=${isOn(pvspinlock) ? 'on' : 'off'}`)
  addHyperv(build)
}

function addKvmFlag({ plan, cpuFlags, degrade }: Build, feature: string, flag: string): void {
  if (plan.accelerator === 'kvm') cpuFlags.push(flag)
  else degrade(FEATURES.child(feature), 'exists under KVM only; the guest runs without')
}

function addHyperv({ plan, cpuFlags, degrade }: Build): void {
  const { hyperv, hypervPassthrough } = plan.spec.domain.features ?? {}
  const flags = [...hypervFlags(hyperv ?? {}), ...(hypervPassthrough?.enabled ? ['hv-passthrough=on'] : [])]
  if (flags.length === 0) return
  if (plan.accelerator === 'kvm') cpuFlags.push(...flags)
  else degrade(HYPERV, 'Hyper-V enlightenments exist under KVM only; the guest runs without')
}

function* hypervFlags(hyperv: Hyperv): Generator<string> {
  // `HYPERV_FLAGS` has no other keys.
  for (const name of Object.keys(HYPERV_FLAGS) as (keyof typeof HYPERV_FLAGS)[]) {
    if (isOn(hyperv[name])) yield `${HYPERV_FLAGS[name]}=on`
  }
  if (isOn(hyperv.synictimer) && isOn(hyperv.synictimer?.direct)) yield 'hv-stimer-direct=on'
  if (isOn(hyperv.tlbflush) && isOn(hyperv.tlbflush?.direct)) yield 'hv-tlbflush-direct=on'
  if (isOn(hyperv.tlbflush) && isOn(hyperv.tlbflush?.extended)) yield 'hv-tlbflush-ext=on'
  const { spinlocks, vendorid } = hyperv
  if (isOn(spinlocks)) yield `hv-spinlocks=${spinlocks?.spinlocks ?? SPINLOCK_RETRIES}`
  const vendor = isOn(vendorid) ? vendorid?.vendorid : undefined
  if (vendor)
    yield `hv-vendor-id=${checkText(vendor, HYPERV.child('vendorid', 'vendorid'), VENDOR_LIMIT).replaceAll(',', ',,')}`
}
