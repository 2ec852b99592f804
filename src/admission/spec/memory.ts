import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { isQuantity } from '../../lib/quantity.ts'
import { wholeOf } from '../quantities.ts'
import type { RuleConfig } from './rule.ts'

const SMALLEST_REQUEST_BYTES = 1_000_000n

const requestPath = (at: FieldPath) => at.child('domain', 'resources', 'requests', 'memory')
const limitPath = (at: FieldPath) => at.child('domain', 'resources', 'limits', 'memory')

/** Requested memory is at least a megabyte. Contract: VMI-MEM-001, 002. */
export function memoryRequestIsUsable({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const request = domain.resources?.requests?.memory
  const bytes = wholeOf(request)
  if (bytes < 0n)
    return [invalidValue(requestPath(at), `"${request}" is less than nothing: ask for a positive amount`)]
  if (bytes > 0n && bytes < SMALLEST_REQUEST_BYTES)
    return [invalidValue(requestPath(at), `"${request}" is less than 1M: is a unit missing, as in 512Mi?`)]
  return []
}

/** A memory limit is not negative. Contract: VMI-MEM-003. */
export function memoryLimitIsPositive({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const limit = domain.resources?.limits?.memory
  return wholeOf(limit) < 0n
    ? [invalidValue(limitPath(at), `"${limit}" is less than nothing: use a positive limit`)]
    : []
}

/** Requested memory is within its limit. Contract: VMI-MEM-004. */
export function memoryRequestIsWithinLimit({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { requests, limits } = domain.resources ?? {}
  return wholeOf(limits?.memory) > 0n && wholeOf(requests?.memory) > wholeOf(limits?.memory)
    ? [invalidValue(requestPath(at), `"${requests?.memory}" is more than the limit "${limits?.memory}"`)]
    : []
}

/** Memory is a whole number of huge pages. Contract: VMI-MEM-005, 006, 007; CRASH-002, 003. */
export function memoryFitsHugepages({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { memory, resources } = domain
  if (!memory?.hugepages) return []
  const { pageSize } = memory.hugepages
  if (!isQuantity(pageSize)) {
    return [
      invalidValue(
        at.child('domain', 'memory', 'hugepages', 'pageSize'),
        `"${pageSize}" is no size: use 2Mi or 1Gi`,
      ),
    ]
  }
  if (wholeOf(resources?.requests?.memory) === 0n && memory.guest === undefined) {
    return [
      requiredValue(
        at.child('domain', 'memory', 'guest'),
        'say how much memory the guest has: the size of its pages does not tell',
      ),
    ]
  }
  const causes: Cause[] = []
  const wanted =
    wholeOf(resources?.requests?.memory) || wholeOf(memory.guest) || wholeOf(resources?.limits?.memory)
  const page = wholeOf(pageSize)
  if (wanted !== 0n && wanted < page)
    causes.push(invalidValue(requestPath(at), `memory is less than one page of ${pageSize}`))
  else if (page <= 0n)
    causes.push(
      invalidValue(at.child('domain', 'memory', 'hugepages', 'pageSize'), 'a page of nothing holds nothing'),
    )
  else if (wanted % page !== 0n) {
    causes.push(
      invalidValue(requestPath(at), `memory is no whole number of pages of ${pageSize}: round it up`),
    )
  }
  return causes
}

/** Where changes do not reach a running guest, its memory is within its limit. Contract: VMI-MEM-008. */
export function guestMemoryIsWithinLimit({ domain }: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const limit = wholeOf(domain.resources?.limits?.memory)
  const guest = domain.memory?.guest
  if (config.isLiveUpdate || guest === undefined || limit === 0n || limit >= wholeOf(guest)) return []
  return [invalidValue(at.child('domain', 'memory', 'guest'), `"${guest}" is more than the memory limit`)]
}
