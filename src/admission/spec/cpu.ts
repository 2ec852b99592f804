import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { milliOf, wholeOf } from '../quantities.ts'
import type { RuleConfig } from './rule.ts'

const requestPath = (at: FieldPath) => at.child('domain', 'resources', 'requests', 'cpu')
const limitPath = (at: FieldPath) => at.child('domain', 'resources', 'limits', 'cpu')
const cpuPath = (at: FieldPath) => at.child('domain', 'cpu')
const FEATURE_POLICIES = ['', 'force', 'require', 'optional', 'disable', 'forbid']

/** The virtual CPUs of a topology: what is 0 or absent does not count. Contract: PRIM-013. */
export function countVcpus({
  cores = 0,
  sockets = 0,
  threads = 0,
}: NonNullable<VmiSpec['domain']['cpu']>): number {
  const given = [cores, sockets, threads].filter((part) => part !== 0)
  return given.length === 0 ? 0 : given.reduce((product, part) => Math.imul(product, part) >>> 0, 1)
}

/** A CPU request is not negative. Contract: VMI-CPU-001. */
export function cpuRequestIsPositive({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const request = domain.resources?.requests?.cpu
  return milliOf(request) < 0n ? [invalidValue(requestPath(at), `"${request}" is less than nothing`)] : []
}

/** A CPU limit is not negative. Contract: VMI-CPU-002. */
export function cpuLimitIsPositive({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const limit = domain.resources?.limits?.cpu
  return milliOf(limit) < 0n ? [invalidValue(limitPath(at), `"${limit}" is less than nothing`)] : []
}

/** A CPU request is within its limit. Contract: VMI-CPU-003. */
export function cpuRequestIsWithinLimit({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { requests, limits } = domain.resources ?? {}
  return milliOf(limits?.cpu) > 0n && milliOf(requests?.cpu) > milliOf(limits?.cpu)
    ? [invalidValue(requestPath(at), `"${requests?.cpu}" is more than the limit "${limits?.cpu}"`)]
    : []
}

/** A guest pinned to its own cores says how much memory it takes. Contract: VMI-CPU-004. */
export function pinnedGuestHasMemory({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { cpu, memory, resources } = domain
  if (!cpu?.dedicatedCpuPlacement) return []
  if (wholeOf(resources?.limits?.memory) !== 0n || wholeOf(resources?.requests?.memory) !== 0n) return []
  if (memory?.hugepages || wholeOf(memory?.guest) !== 0n) return []
  return [
    invalidValue(
      at.child('domain', 'resources', 'limits', 'memory'),
      'pinned CPUs need a memory request or limit',
    ),
  ]
}

/** A guest pinned to its own cores asks for whole cores. Contract: VMI-CPU-005, 006. */
export function pinnedRequestIsWhole({ domain }: VmiSpec, at: FieldPath): Cause[] {
  if (!domain.cpu?.dedicatedCpuPlacement) return []
  const { requests, limits } = domain.resources ?? {}
  const isBroken = (amount: string | undefined) =>
    wholeOf(amount) > 0n && wholeOf(amount) * 1000n !== milliOf(amount)
  const causes: Cause[] = []
  if (isBroken(requests?.cpu))
    causes.push(invalidValue(requestPath(at), `"${requests?.cpu}" is no whole number of CPUs`))
  if (isBroken(limits?.cpu))
    causes.push(invalidValue(limitPath(at), `"${limits?.cpu}" is no whole number of CPUs`))
  return causes
}

/** A guest pinned to its own cores gets the memory it asks for. Contract: VMI-CPU-007. */
export function pinnedMemoryIsLimit({ domain }: VmiSpec, at: FieldPath): Cause[] {
  if (!domain.cpu?.dedicatedCpuPlacement) return []
  const [request, limit] = [
    wholeOf(domain.resources?.requests?.memory),
    wholeOf(domain.resources?.limits?.memory),
  ]
  return request > 0n && limit > 0n && request !== limit
    ? [
        invalidValue(
          at.child('domain', 'resources', 'requests', 'memory'),
          'must equal the limit with pinned CPUs',
        ),
      ]
    : []
}

/** The CPUs of a pinned guest can be counted, and are the same everywhere. Contract: VMI-CPU-008, 009, 010. */
export function pinnedCountsAgree({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { cpu, resources } = domain
  if (!cpu?.dedicatedCpuPlacement) return []
  const field = cpuPath(at).child('dedicatedCpuPlacement')
  const [request, limit] = [wholeOf(resources?.requests?.cpu), wholeOf(resources?.limits?.cpu)]
  const count = BigInt(countVcpus(cpu))
  const causes: Cause[] = []
  if (request === 0n && limit === 0n && count === 0n)
    causes.push(invalidValue(field, 'say how many CPUs, by cores or a request'))
  if (request > 0n && limit > 0n && request !== limit)
    causes.push(invalidValue(field, 'CPU request and limit must be equal'))
  if ((request > 0n || limit > 0n) && count > 0n && count !== request && count !== limit) {
    causes.push(
      invalidValue(
        field,
        `cores, sockets and threads make ${count} CPUs, the request or limit another number`,
      ),
    )
  }
  return causes
}

/** A pinned guest has at most two threads a core, and one on arm64. Contract: VMI-CPU-011, 012. */
export function pinnedThreadsAreFew(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const { cpu } = spec.domain
  if (!cpu?.dedicatedCpuPlacement) return []
  const { threads = 0 } = cpu
  const causes: Cause[] = []
  if ((spec.architecture || config.defaultArchitecture) === 'arm64' && threads > 1) {
    causes.push(invalidValue(at.child('architecture'), 'arm64 has one thread a core: set threads to 1'))
  }
  if (threads > 2)
    causes.push(
      invalidValue(cpuPath(at).child('dedicatedCpuPlacement'), 'pinned CPUs have at most 2 threads'),
    )
  return causes
}

/**
 * Handing on the host's NUMA nodes takes pinned CPUs and huge pages. Its gate is always on: VMI-CPU-013 cannot happen.
 * Contract: VMI-CPU-014, 015.
 */
export function numaHasPinnedHugepages({ domain }: VmiSpec, at: FieldPath): Cause[] {
  if (!domain.cpu?.numa?.guestMappingPassthrough) return []
  const field = cpuPath(at).child('numa', 'guestMappingPassthrough')
  const causes: Cause[] = []
  if (!domain.cpu.dedicatedCpuPlacement) causes.push(invalidValue(field, 'needs dedicatedCpuPlacement'))
  if (!domain.memory?.hugepages) causes.push(invalidValue(field, 'needs memory.hugepages'))
  return causes
}

/** Keeping QEMU's own thread apart takes pinned CPUs. Contract: VMI-CPU-016. */
export function emulatorThreadIsPinned({ domain }: VmiSpec, at: FieldPath): Cause[] {
  return domain.cpu?.isolateEmulatorThread && !domain.cpu.dedicatedCpuPlacement
    ? [invalidValue(cpuPath(at).child('isolateEmulatorThread'), 'needs dedicatedCpuPlacement')]
    : []
}

/** A CPU feature has a policy that exists. Contract: VMI-CPU-017. */
export function cpuFeaturePolicyIsKnown({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, { policy = '' }] of (domain.cpu?.features ?? []).entries()) {
    if (FEATURE_POLICIES.includes(policy)) continue
    const field = cpuPath(at).child('features').index(position).child('policy')
    causes.push(unsupportedValue(field, `"${policy}" is none of ${FEATURE_POLICIES.slice(1).join(', ')}`))
  }
  return causes
}

/** Sockets are within their maximum. Contract: VMI-CPU-018. */
export function socketsAreWithinMaximum({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { sockets = 0, maxSockets = 0 } = domain.cpu ?? {}
  return maxSockets !== 0 && sockets > maxSockets
    ? [
        invalidValue(
          cpuPath(at).child('sockets'),
          `${sockets} sockets are more than maxSockets, ${maxSockets}`,
        ),
      ]
    : []
}

/** A guest that starts paused has no liveness probe, which would kill it. Contract: VMI-START-001, 002. */
export function startStrategyIsKnown({ startStrategy, livenessProbe }: VmiSpec, at: FieldPath): Cause[] {
  if (startStrategy === undefined) return []
  const field = at.child('startStrategy')
  if (startStrategy !== 'Paused')
    return [invalidValue(field, `"${startStrategy}" is unknown: use Paused, or leave it out`)]
  if (livenessProbe)
    return [invalidValue(field, 'a paused guest cannot answer the livenessProbe: leave one of them out')]
  return []
}

/** Real time takes pinned CPUs and the host's NUMA nodes. Contract: VMI-RT-001, 002. */
export function realtimeIsPinned({ domain }: VmiSpec, at: FieldPath): Cause[] {
  if (!domain.cpu?.realtime) return []
  const causes: Cause[] = []
  if (!domain.cpu.dedicatedCpuPlacement)
    causes.push(requiredValue(cpuPath(at).child('dedicatedCpuPlacement'), 'needed by realtime'))
  if (!domain.cpu.numa?.guestMappingPassthrough) {
    causes.push(requiredValue(cpuPath(at).child('numa', 'guestMappingPassthrough'), 'needed by realtime'))
  }
  return causes
}
