/** What is asked of preferences. Contract: admission-others.md, section 14. */
import { spreadOf, TOPOLOGY_NAMES, topologyOf } from '../../instancetype/topology.ts'
import type { Preference } from '../../kinds/instancetype.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { ReviewInput } from '../review-input.ts'

const ACROSS = ['SocketsCoresThreads', 'SocketsCores', 'CoresThreads']
const CPU = 'spec.cpu'

/** vCPUs are laid out in a way that there is. Contract: PREF-001. */
export function topologyIsKnown({ object }: ReviewInput<Preference>): Cause[] {
  const topology = object.spec?.cpu?.preferredCPUTopology
  if (topology === undefined || TOPOLOGY_NAMES.includes(topology)) return []
  return [
    invalidValue(`${CPU}.preferredCPUTopology`, `"${topology}" is none of ${TOPOLOGY_NAMES.join(', ')}`),
  ]
}

/** vCPUs are spread in a way that there is; a core has two threads. Contract: PREF-002, 003. */
export function spreadIsPossible({ object }: ReviewInput<Preference>): Cause[] {
  if (topologyOf(object.spec) !== 'spread') return []
  const { across, ratio } = spreadOf(object.spec)
  const at = `${CPU}.spreadOptions`
  if (!ACROSS.includes(across))
    return [invalidValue(`${at}.across`, `"${across}" is none of ${ACROSS.join(', ')}`)]
  if (across === 'CoresThreads' && ratio !== 2)
    return [
      invalidValue(
        `${at}.ratio`,
        `a core has 2 threads, not ${ratio}: choose 2, or spread across SocketsCores`,
      ),
    ]
  return []
}

/** Contract: PREF-004. */
export function warnOfOldTopology({ object }: ReviewInput<Preference>): string[] {
  const topology = object.spec?.cpu?.preferredCPUTopology
  if (!topology?.startsWith('prefer')) return []
  return [
    `spec.cpu.preferredCPUTopology "${topology}" is deprecated: use "${topology.slice('prefer'.length).toLowerCase()}"`,
  ]
}
