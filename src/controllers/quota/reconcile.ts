import type { Vmi } from '../../kinds/kubevirt.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import type { ResourceQuota } from '../../kinds/quota.ts'
import { RESOURCE_QUOTAS } from '../../kinds/table.ts'
import { differenceOf } from '../../quota/amounts.ts'
import { listPods } from '../../quota/cluster-ledger.ts'
import {
  guestNames,
  guestShare,
  isSameUsage,
  measureCluster,
  withGuestUsage,
} from '../../quota/cluster-usage.ts'
import {
  readReservations,
  RESERVATION_MS,
  RESERVATIONS_ANNOTATION,
  withReservations,
  type Reservation,
} from '../../quota/reservations.ts'
import type { Informer } from '../../store/cache.ts'
import type { ControllerParts } from '../parts.ts'

/** What a pass over a quota reads and may do. */
export interface QuotaContext extends Pick<ControllerParts, 'store' | 'clock'> {
  quotas: Pick<Informer<ResourceQuota>, 'get'>
  /** All guests of a namespace. */
  guests: (namespace: string) => readonly Vmi[]
  /** Whether the guest of this UID has been there, and is no more. */
  isGone: (uid: string) => boolean
  /** Asks for another pass over this quota. */
  again: (delayMs: number) => void
}

/**
 * One pass over a quota: counts pods, guests and guests that are about to appear, and writes that down where it says
 * otherwise. Drops reservations that have served.
 */
export async function reconcileQuota(context: QuotaContext, namespace: string, name: string): Promise<void> {
  const quota = context.quotas.get(namespace, name)
  if (!quota) return
  const isCharged = guestNames(quota).length > 0
  if (!isCharged && quota.metadata.annotations?.[RESERVATIONS_ANNOTATION] === undefined) return
  const guests = context.guests(namespace)
  const pods = isCharged ? await listPods(context.store, namespace) : []
  const before = readReservations(quota, context.clock.now())
  const kept = isCharged ? stillAwaited(context, quota, guests, before) : new Map<string, Reservation>()
  const counted = withGuestUsage(quota, measureCluster(quota, { guests, pods }, kept))
  const changed = withReservations(counted, kept)
  if (!isSame(quota, changed)) await context.store.update(RESOURCE_QUOTAS, changed, { subresource: 'status' })
  const oldest = Math.min(...[...kept.values()].map(({ atMs }) => atMs))
  if (kept.size > 0) context.again(oldest + RESERVATION_MS - context.clock.now() + 1)
}

/** Reservations of guests that have neither appeared, as large as was reserved, nor ended, nor gone. */
function stillAwaited(
  { isGone }: QuotaContext,
  quota: ResourceQuota,
  guests: readonly Vmi[],
  reservations: ReadonlyMap<string, Reservation>,
): Map<string, Reservation> {
  const byUid = new Map(guests.map((guest) => [guest.metadata.uid, guest]))
  return new Map(
    [...reservations].filter(([uid, { charges }]) => {
      const guest = byUid.get(uid)
      if (!guest) return !isGone(uid)
      if (isFinal(guest.status?.phase)) return false
      return [...differenceOf(charges, guestShare(quota, guest)).values()].some((amount) => amount > 0n)
    }),
  )
}

function isSame(left: ResourceQuota, right: ResourceQuota): boolean {
  const textOf = ({ metadata }: ResourceQuota) => metadata.annotations?.[RESERVATIONS_ANNOTATION]
  return isSameUsage(left, right) && textOf(left) === textOf(right)
}
