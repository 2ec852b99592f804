/** How far a running guest may grow where it does not say. Contract: MUT-VMI-032 … 035. */
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { formatBytes } from '../../lib/quantity.ts'
import type { AdmissionConfig } from '../config.ts'
import { wholeOf } from '../quantities.ts'

const VCPU_LIMIT = 512
const GIB = 1024n ** 3n
const MIB = 1024n ** 2n

/** Sets the most sockets and memory a guest may be given while it runs, in place. */
export function completeHotplug(spec: VmiSpec, config: AdmissionConfig): void {
  if (spec.architecture === 'arm64' || !config.isLiveUpdate) return
  completeMaxSockets(spec, config)
  completeMaxGuest(spec, config)
}

function completeMaxSockets({ domain }: VmiSpec, config: AdmissionConfig): void {
  const cpu = (domain.cpu ??= {})
  if (cpu.maxSockets) return
  const { sockets = 0, cores = 0, threads = 0 } = cpu
  if (config.maxCpuSockets !== 0) {
    cpu.maxSockets = Math.max(config.maxCpuSockets, sockets)
    return
  }
  const wanted = sockets * config.maxHotplugRatio
  const each = cores * threads
  const most = wanted * each > VCPU_LIMIT ? Math.max(Math.floor(VCPU_LIMIT / each), sockets) : wanted
  if (most > 0) cpu.maxSockets = most
}

function completeMaxGuest(spec: VmiSpec, config: AdmissionConfig): void {
  const { memory } = spec.domain
  if (!memory?.guest || memory.maxGuest !== undefined) return
  const maxGuest = config.maxGuest ?? formatBytes(wholeOf(memory.guest) * BigInt(config.maxHotplugRatio))
  if (isMemoryHotpluggable(spec, maxGuest)) memory.maxGuest = maxGuest
}

/** Whether memory can be added up to `maxGuest`. Contract: admission-vm.md, section 5.3. */
export function isMemoryHotpluggable({ architecture, domain }: VmiSpec, maxGuest: string): boolean {
  const { cpu, memory, launchSecurity } = domain
  if (cpu?.realtime || cpu?.numa?.guestMappingPassthrough || launchSecurity || !memory?.guest) return false
  const block = memory.hugepages?.pageSize === '1Gi' ? GIB : 2n * MIB
  const [guest, most] = [wholeOf(memory.guest), wholeOf(maxGuest)]
  return (
    guest <= most && guest % block === 0n && most % block === 0n && architecture === 'amd64' && guest >= GIB
  )
}
