/** Room that is kept for guests which are about to appear: written down on the quota itself. */
import { isRecord } from '../lib/json.ts'
import type { ResourceQuota } from '../kinds/quota.ts'
import { readSums, writeAmounts, type Amounts } from './amounts.ts'

/** Annotation on a ResourceQuota: UID → `{at, charges}`, as JSON. Written together with the status. */
export const RESERVATIONS_ANNOTATION = 'quota.virtgate.io/reservations'

/** How long room is kept for a guest that does not appear. Contract: security D5. */
export const RESERVATION_MS = 120_000

/** Room kept for one guest. */
export interface Reservation {
  /** All that the guest takes of what the quota counts. */
  charges: Amounts
  /** Milliseconds since 1970. */
  atMs: number
}

/** Reservations by the UIDs of guests. */
export type Reservations = ReadonlyMap<string, Reservation>

/** What is kept at this time. What cannot be read counts for nothing: it can only be somebody else's writing. */
export function readReservations({ metadata }: ResourceQuota, nowMs: number): Map<string, Reservation> {
  const kept = new Map<string, Reservation>()
  for (const [uid, entry] of Object.entries(parse(metadata.annotations?.[RESERVATIONS_ANNOTATION]))) {
    if (!isRecord(entry) || typeof entry['at'] !== 'number' || !isRecord(entry['charges'])) continue
    const { at: atMs } = entry
    // One from the future is of a clock that was wrong.
    if (Math.abs(nowMs - atMs) >= RESERVATION_MS) continue
    // Amounts that are no quantities are read as 0.
    const charges = readSums(entry['charges'] as Record<string, string>)
    kept.set(uid, { charges, atMs })
  }
  return kept
}

function parse(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    const found: unknown = JSON.parse(text)
    return isRecord(found) ? found : {}
  } catch {
    // As above: nobody of ours has written that.
    return {}
  }
}

/** The quota with these reservations in place of those it has. */
export function withReservations(quota: ResourceQuota, reservations: Reservations): ResourceQuota {
  const { [RESERVATIONS_ANNOTATION]: _before, ...annotations } = quota.metadata.annotations ?? {}
  const entries = [...reservations].map(([uid, { charges, atMs }]): [string, unknown] => [
    uid,
    { at: atMs, charges: writeAmounts(charges.keys(), charges) },
  ])
  if (entries.length > 0) annotations[RESERVATIONS_ANNOTATION] = JSON.stringify(Object.fromEntries(entries))
  const { annotations: _old, ...metadata } = quota.metadata
  return {
    ...quota,
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
  }
}
