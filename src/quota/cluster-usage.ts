/**
 * Quotas where kube-apiserver keeps them, too: it counts objects, storage and pods; guests are no pods, so their compute
 * is added here. Kubernetes' own controller writes the pods' alone from time to time: that is counted over again.
 */
import type { Vmi } from '../kinds/kubevirt.ts'
import type { ResourceQuota } from '../kinds/quota.ts'
import { VMIS } from '../kinds/table.ts'
import { addAmounts, largerOf, readSums, writeAmounts, type Amounts } from './amounts.ts'
import { resourceName, type ChargeRules } from './charges.ts'
import { OVERHEAD } from './guest.ts'
import { podCharges, type Pod } from './pods.ts'
import type { Reservations } from './reservations.ts'
import { isInScope } from './scopes.ts'
import { countedOf } from './settle.ts'

/** Guests' compute alone. */
export const CLUSTER_RULES: ChargeRules = { countsObjects: false }

const VMI_RESOURCE = resourceName(VMIS)
const COMPUTE = /^(?:cpu|memory|ephemeral-storage)$|^(?:requests|limits)\.(?!storage$)|^hugepages-/

/** The names of a quota that guests are charged to. */
export function guestNames({ spec }: ResourceQuota): string[] {
  return Object.keys(spec?.hard ?? {}).filter((name) => COMPUTE.test(name) || name === OVERHEAD)
}

/** What there is in a namespace. */
export interface Presence {
  guests: readonly Vmi[]
  pods: readonly Pod[]
}

/** What a guest takes of what this quota counts. */
export function guestShare(quota: ResourceQuota, vmi: Vmi | undefined): Amounts {
  return countedOf(quota, VMI_RESOURCE, vmi, CLUSTER_RULES)
}

/** What pods, guests, and guests that are about to appear take together. A guest that is both there and awaited counts once. */
export function measureCluster(
  quota: ResourceQuota,
  { guests, pods }: Presence,
  reservations: Reservations,
): Amounts {
  const names = new Set(guestNames(quota))
  let used: Amounts = pods.map((pod) => podShare(quota, pod)).reduce(addAmounts, new Map())
  const seen = new Set<string>()
  for (const guest of guests) {
    const { uid } = guest.metadata
    seen.add(uid)
    used = addAmounts(used, heldBy(quota, guest, reservations.get(uid)?.charges))
  }
  for (const [uid, { charges }] of reservations) if (!seen.has(uid)) used = addAmounts(used, charges)
  return new Map([...used].filter(([name]) => names.has(name)))
}

/** What a guest holds: what it takes, or what is kept for what it is about to be. */
export function heldBy(quota: ResourceQuota, guest: Vmi | undefined, reserved: Amounts | undefined): Amounts {
  const share = guestShare(quota, guest)
  return reserved ? largerOf(share, reserved) : share
}

function podShare(quota: ResourceQuota, pod: Pod): Amounts {
  return isInScope(quota, 'pods', pod) ? podCharges(pod) : new Map()
}

/** The quota with this usage of what guests are charged to; what others count stays as they say. */
export function withGuestUsage(quota: ResourceQuota, used: Amounts): ResourceQuota {
  const names = guestNames(quota)
  const hard = Object.fromEntries(
    Object.entries(quota.spec?.hard ?? {}).filter(([name]) => names.includes(name)),
  )
  return {
    ...quota,
    status: {
      hard: { ...quota.status?.hard, ...hard },
      used: { ...quota.status?.used, ...writeAmounts(names, used) },
    },
  }
}

/** Whether both have the same amounts used of what guests are charged to. */
export function isSameUsage(left: ResourceQuota, right: ResourceQuota): boolean {
  const [one, other] = [readSums(left.status?.used), readSums(right.status?.used)]
  return guestNames(left).every(
    (name) => one.has(name) === other.has(name) && one.get(name) === other.get(name),
  )
}
