import type { Duplex } from 'node:stream'
import { StatusError, timeout } from '../../../lib/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Log } from '../../../lib/log.ts'
import type { PortForwardOptions } from '../../../rpc/actions.ts'
import type { GuestRecord } from '../../guest/record.ts'
import { DIAL_MS } from '../tcp.ts'
import { dialTcpAt, dialUdpAt } from './dial.ts'
import { checkReach } from './reach.ts'
import type { Tap } from './tap.ts'
import type { Taps } from './taps.ts'
import { noteAddresses } from './tend.ts'

/** What dialling a guest on a bridge takes. */
export interface BridgedParts {
  record: GuestRecord
  /** Cards of other guests of this node that are on bridges. */
  others: readonly Tap[]
  taps: Taps
  clock: Clock
  log: Log
  signal: AbortSignal
}

/**
 * A connection to a port in a guest, at an address that it has on a bridge of this node: the first one that leads to
 * it. `undefined` where none is known.
 *
 * Throws what is wrong with the last address that was tried, 503, and 504 where that takes more than 10 s in all.
 */
export async function dialBridged(
  options: PortForwardOptions,
  parts: BridgedParts,
): Promise<Duplex | undefined> {
  const limit = AbortSignal.timeout(DIAL_MS)
  try {
    return await dialFirst(options, { ...parts, signal: AbortSignal.any([parts.signal, limit]) })
  } catch (error) {
    parts.signal.throwIfAborted()
    if (!limit.aborted) throw error
    throw timeout(`the guest does not answer at port ${options.port} within ${DIAL_MS / 1000} s`)
  }
}

async function dialFirst(
  { port, protocol }: PortForwardOptions,
  parts: BridgedParts,
): Promise<Duplex | undefined> {
  let why: StatusError | undefined
  const found = await noteAddresses(parts)
  for (const tap of parts.record.state.taps ?? []) {
    for (const address of found.get(tap.device) ?? []) {
      if (isHeldByOther(address, tap, parts.others)) continue
      try {
        await checkReach(address, tap, parts)
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        why = error
        continue
      }
      const dial = protocol === 'tcp' ? dialTcpAt : dialUdpAt
      return dial({ address, port }, parts.signal)
    }
  }
  if (why) throw why
  return undefined
}

/** Whether an address was assigned to another guest in the same network, or in what may be the same. */
export function isHeldByOther(address: string, { bridge, vlan }: Tap, others: readonly Tap[]): boolean {
  return others.some(
    (other) =>
      other.bridge === bridge &&
      // Which VLAN a tap without one is in is the bridge's to say.
      (other.vlan === undefined || vlan === undefined || other.vlan === vlan) &&
      [...(other.addresses ?? []), ...(other.leased ?? []).slice(0, 1)].includes(address),
  )
}
