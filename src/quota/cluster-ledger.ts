import type { Vmi } from '../kinds/kubevirt.ts'
import type { ResourceQuota } from '../kinds/quota.ts'
import { PODS, RESOURCE_QUOTAS, VMIS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import { hasReason, tooManyRequests } from '../lib/errors.ts'
import { retryRaces } from '../lib/races.ts'
import type { ObjectReader, ObjectWriter } from '../store/store.ts'
import { addAmounts, differenceOf, largerOf, readSums, type Amounts } from './amounts.ts'
import { resourceName } from './charges.ts'
import {
  CLUSTER_RULES,
  guestNames,
  guestShare,
  heldBy,
  measureCluster,
  withGuestUsage,
} from './cluster-usage.ts'
import type { GuestWrite, QuotaLedger } from './ledger.ts'
import type { Pod } from './pods.ts'
import { readReservations, withReservations, type Reservation } from './reservations.ts'
import { requireRoom, requireSpecified } from './settle.ts'

/** What the ledger of a cluster is built from. */
export interface ClusterLedgerParts {
  store: Pick<ObjectReader, 'list'> & Pick<ObjectWriter, 'update'>
  /** The guests of a namespace as last heard of. One that is missing here is still reserved. */
  guests: (namespace: string) => readonly Vmi[]
  clock: Pick<Clock, 'now'>
}

/** Somebody else has written a quota, or removed it, since it was read. */
const RACES = ['Conflict', 'NotFound']
const RETRY_SECONDS = 1

interface Waiting {
  write: GuestWrite
  resolve: () => void
  reject: (error: unknown) => void
}

/** One quota while a batch is judged. */
interface Page {
  quota: ResourceQuota
  used: Amounts
  reservations: Map<string, Reservation>
  isChanged: boolean
}

/**
 * A ledger on the ResourceQuotas of a Kubernetes API: reservations are written with `status.used` in one update that
 * fails where anybody else was faster, as Kubernetes' own quota admission does it. All that wait for a namespace at the
 * same time share one update.
 */
export function buildClusterLedger(parts: ClusterLedgerParts): QuotaLedger {
  const desks = new Map<string, Waiting[]>()

  async function serve(namespace: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0)
      try {
        await serveBatch(parts, namespace, batch)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    desks.delete(namespace)
  }

  return {
    reserve(write) {
      return new Promise((resolve, reject) => {
        const { namespace } = write.vmi.metadata
        const waiting = { write, resolve, reject }
        const queue = desks.get(namespace)
        if (queue) return void queue.push(waiting)
        const opened = [waiting]
        desks.set(namespace, opened)
        void serve(namespace, opened)
      })
    },
  }
}

async function serveBatch(parts: ClusterLedgerParts, namespace: string, batch: Waiting[]): Promise<void> {
  const refusals = await retryRaces(RACES, () => judgeBatch(parts, namespace, batch)).catch(
    (error: unknown) => {
      if (!hasReason(error, ...RACES)) throw error
      const message = `the quotas of ${namespace} are changed by too many at once: try again`
      throw tooManyRequests(message, RETRY_SECONDS)
    },
  )
  for (const [index, { resolve, reject }] of batch.entries()) {
    const refusal = refusals[index]
    if (refusal === undefined) resolve()
    else reject(refusal)
  }
}

/** Writes down what the batch takes; answers the refusals, by place. Throws one of `RACES` where somebody was faster. */
async function judgeBatch(
  parts: ClusterLedgerParts,
  namespace: string,
  batch: readonly Waiting[],
): Promise<unknown[]> {
  const pages = await openPages(parts, namespace)
  const guests = new Map(parts.guests(namespace).map((vmi) => [vmi.metadata.uid, vmi]))
  const refusals = batch.map(({ write }) => judge(pages, write, guests, parts.clock.now()))
  await savePages(parts, pages)
  return refusals
}

async function openPages({ store, guests, clock }: ClusterLedgerParts, namespace: string): Promise<Page[]> {
  const { items } = await store.list(RESOURCE_QUOTAS, { namespace })
  const quotas = items.filter((quota) => guestNames(quota).length > 0)
  if (quotas.length === 0) return []
  const presence = { guests: guests(namespace), pods: await listPods(store, namespace) }
  return quotas.map((quota) => {
    const reservations = readReservations(quota, clock.now())
    // A pod that was admitted a moment ago is in the status before it is anywhere else.
    const told = new Map(
      [...readSums(quota.status?.used)].filter(([name]) => guestNames(quota).includes(name)),
    )
    const used = largerOf(measureCluster(quota, presence, reservations), told)
    return { quota, used, reservations, isChanged: false }
  })
}

/** Pods of a namespace; none where the API does not serve them. */
export async function listPods(
  store: Pick<ObjectReader, 'list'>,
  namespace: string,
): Promise<readonly Pod[]> {
  try {
    return (await store.list(PODS, { namespace })).items
  } catch (error) {
    if (hasReason(error, 'NotFound')) return []
    throw error
  }
}

/** Takes the room a guest needs on all pages; the refusal where one of them has none. */
function judge(
  pages: readonly Page[],
  { vmi, before, dryRun }: GuestWrite,
  guests: ReadonlyMap<string, Vmi>,
  nowMs: number,
): unknown {
  const { uid, name } = vmi.metadata
  const write = { resource: resourceName(VMIS), name, before, after: vmi }
  const changes = pages.map((page) => changeOf(page, vmi, guests.get(uid) ?? before))
  try {
    for (const [index, { quota, used }] of pages.entries()) {
      const change = changes[index] ?? new Map()
      if (change.size > 0 || !before) requireSpecified(quota, write, CLUSTER_RULES)
      requireRoom(quota, write, used, change)
    }
  } catch (error) {
    // What an earlier try has kept for it; a guest that is there already may have more coming.
    if (!before && !dryRun) for (const page of pages) release(page, uid)
    return error
  }
  if (dryRun) return undefined
  for (const [index, page] of pages.entries()) {
    const change = changes[index] ?? new Map()
    if (change.size === 0) continue
    page.used = addAmounts(page.used, change)
    const kept = page.reservations.get(uid)?.charges ?? new Map()
    const charges = largerOf(guestShare(page.quota, vmi), kept)
    page.reservations.set(uid, { charges, atMs: nowMs })
    page.isChanged = true
  }
  return undefined
}

/** What the guest takes beyond what it holds already. What it gives back is given back when it is stored. */
function changeOf({ quota, reservations }: Page, vmi: Vmi, present: Vmi | undefined): Amounts {
  const held = heldBy(quota, present, reservations.get(vmi.metadata.uid)?.charges)
  return new Map([...differenceOf(guestShare(quota, vmi), held)].filter(([, amount]) => amount > 0n))
}

/** Keeps no room for a guest any longer. */
function release(page: Page, uid: string): void {
  if (page.reservations.delete(uid)) page.isChanged = true
}

async function savePages({ store }: ClusterLedgerParts, pages: readonly Page[]): Promise<void> {
  for (const { quota, used, reservations, isChanged } of pages) {
    if (!isChanged) continue
    const changed = withReservations(withGuestUsage(quota, used), reservations)
    await store.update(RESOURCE_QUOTAS, changed, { subresource: 'status' })
  }
}
