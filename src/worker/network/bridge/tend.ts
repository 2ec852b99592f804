import type { Clock } from '../../../lib/clock.ts'
import { isSameJson } from '../../../lib/json.ts'
import type { Log } from '../../../lib/log.ts'
import type { GuestRecord } from '../../guest/record.ts'
import type { Wait } from '../../guest/soonest.ts'
import { isUsable } from './address.ts'
import { HostCommandFailed } from './run.ts'
import type { Tap } from './tap.ts'
import type { Taps } from './taps.ts'

/** What looking after the taps of a running guest takes. */
export interface TendParts {
  record: GuestRecord
  taps: Taps
  clock: Clock
  log: Log
}

/** While the guest has no address yet, and once it has. */
const EAGER_MS = 2_000
const CALM_MS = 15_000
/** After so long without an address it is looked for as seldom as for a change. */
const EAGER_FOR_MS = 120_000
/** Leases that are remembered. */
const LEASES = 8
const SOURCE = 'domain, multus-status'

/** When the taps of a guest were looked at: kept with its machine, as it may be lost. */
export class TapWatch {
  readonly #beganMs: number
  #nextMs = 0

  constructor(clock: Clock) {
    this.#beganMs = clock.now()
  }

  /** How long until they are to be looked at. */
  waitMs(clock: Clock): number {
    return Math.max(0, this.#nextMs - clock.now())
  }

  /** They were looked at; `isKnown`: every one has an address. Answers when to look again. */
  looked(clock: Clock, isKnown: boolean): number {
    const isEager = !isKnown && clock.now() - this.#beganMs < EAGER_FOR_MS
    const waitMs = isEager ? EAGER_MS : CALM_MS
    this.#nextMs = clock.now() + waitMs
    return waitMs
  }
}

/** Notes which addresses the guest has on its bridges, and sees to it that its taps are guarded. */
export async function tendTaps(watch: TapWatch, parts: TendParts): Promise<Wait> {
  const { taps = [] } = parts.record.state
  if (taps.length === 0) return {}
  const waitMs = watch.waitMs(parts.clock)
  if (waitMs > 0) return { waitMs }
  const found = await noteAddresses(parts)
  return {
    waitMs: watch.looked(
      parts.clock,
      [...found.values()].every(({ length }) => length > 0),
    ),
  }
}

/**
 * Looks at the taps now: device → addresses of the guest there, best first. New ones are written down: leases, since
 * the table that has them may be removed by others.
 */
export async function noteAddresses({ record, taps, log }: TendParts): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  const present: Tap[] = []
  for (const tap of record.state.taps ?? []) {
    try {
      const { own, claimed } = await taps.learn(tap)
      const leased = tap.addresses ? undefined : mergeLeases(tap.leased ?? [], own)
      present.push({ ...tap, ...(leased && leased.length > 0 && { leased }) })
      found.set(tap.device, addressesOf({ ...tap, ...(leased && { leased }) }, claimed))
    } catch (error) {
      if (!(error instanceof HostCommandFailed)) throw error
      log.error({ err: error, vmi: record.state.guest }, 'cannot tell whether a tap is guarded')
      present.push(tap)
    }
  }
  const { status } = record.state
  const interfaces = status.interfaces?.map((card) => {
    const tap = present.find((each) => each.interface === card.name)
    if (!tap) return card
    const { ipAddress: _first, ipAddresses: _all, ...rest } = card
    const [ipAddress, ...others] = found.get(tap.device) ?? []
    const known = ipAddress === undefined ? {} : { ipAddress, ipAddresses: [ipAddress, ...others] }
    return { ...rest, ...known, infoSource: SOURCE }
  })
  const isNews = !isSameJson(interfaces, status.interfaces)
  const change = interfaces && isNews ? { status: { ...status, interfaces } } : {}
  if (!isSameJson(present, record.state.taps)) await record.keep({ ...change, taps: present })
  else if (isNews) record.change(change)
  return found
}

/** The addresses that others may take for the guest's: what is assigned, else what it says under guard. */
export function addressesOf(
  { addresses, leased, allowsSpoofing }: Tap,
  claimed: readonly string[],
): string[] {
  const assigned = addresses ?? leased ?? []
  if (assigned.length > 0) {
    const others = addresses || allowsSpoofing ? [] : claimed.filter((each) => each.includes(':'))
    return [...assigned, ...others].filter(isUsable)
  }
  return allowsSpoofing ? [] : claimed.filter(isUsable)
}

/** Leases, latest first: those that were not known come before those that were. */
export function mergeLeases(known: readonly string[], present: readonly string[]): string[] {
  const isNew = (address: string) => !known.includes(address)
  return [...present.filter(isNew), ...known].slice(0, LEASES)
}
