import { type Clock, wait } from '../../../lib/clock.ts'
import { isRecord, type JsonRecord } from '../../../lib/json.ts'
import { serviceUnavailable, timeout } from '../../../lib/errors.ts'
import { isUsable } from './address.ts'
import { HostCommandFailed } from './run.ts'
import { isInNetworkOf } from './same-network.ts'
import type { Tap } from './tap.ts'
import type { Taps } from './taps.ts'

/** What finding out takes. */
export interface ReachParts {
  taps: Taps
  clock: Clock
  signal: AbortSignal
}

/** As often as the kernel asks for a neighbour, once a second, and a little more. */
const ANSWER_MS = 3_500
const LOOK_MS = 50

/**
 * Makes sure that what this node sends to an address goes to the guest's card, and nowhere else: the address lies in a
 * network that this node has on the tap's bridge, in its VLAN, and who answers there has the hardware address of the card, which
 * nobody else can have under guard (security C3).
 *
 * Throws 503 where that is not so, 504 where nobody answers, and the reason of `signal`.
 */
export async function checkReach(address: string, tap: Tap, parts: ReachParts): Promise<void> {
  const { taps, clock, signal } = parts
  const device = await deviceTowards(address, tap, taps)
  const endMs = clock.now() + ANSWER_MS
  let isAsked = false
  while (clock.now() < endMs) {
    signal.throwIfAborted()
    const [entry] = recordsOf(await taps.ask('neigh', 'show', 'to', address, 'dev', device))
    const { lladdr, state } = entry ?? {}
    const isSettled = typeof lladdr === 'string' && !(Array.isArray(state) && state.includes('FAILED'))
    if (isSettled && lladdr.toLowerCase() === tap.mac) return
    if (isSettled && isAsked)
      throw serviceUnavailable(
        `another device than the guest answers at ${address}: two have the same address`,
      )
    if (!isAsked) await askAgain(taps, address, device, entry !== undefined)
    isAsked = true
    await wait(clock, LOOK_MS, signal)
  }
  throw timeout(`the guest does not answer at its address ${address}`)
}

/** The device of this node that leads there at once. Throws 503 where that is not in the tap's network. */
async function deviceTowards(address: string, tap: Tap, taps: Taps): Promise<string> {
  const [route = {}] = isUsable(address) ? recordsOf(await taps.ask('route', 'get', address)) : []
  const { dev, gateway, via, type = 'unicast' } = route
  const isDirect = gateway === undefined && via === undefined && type === 'unicast'
  if (isDirect && typeof dev === 'string' && (await isInNetworkOf(tap, dev, taps))) return dev
  const { bridge, vlan } = tap
  const [where, device] =
    vlan === undefined ? [bridge, 'the bridge'] : [`${bridge} in VLAN ${vlan}`, `${bridge}.${vlan}`]
  throw serviceUnavailable(
    `${address} is in no network that this node has on the bridge ${where}: give ${device} an address there`,
  )
}

/** Has the kernel ask who has the address. What it knew may be of a guest that is gone. */
async function askAgain(taps: Taps, address: string, device: string, isKnown: boolean): Promise<void> {
  try {
    if (isKnown) await taps.tell('neigh', 'delete', address, 'dev', device)
    await taps.tell('neigh', 'add', address, 'dev', device, 'use')
  } catch (error) {
    // Somebody else has just asked.
    if (!(error instanceof HostCommandFailed)) throw error
  }
}

function recordsOf(answer: unknown): JsonRecord[] {
  return Array.isArray(answer) ? answer.filter(isRecord) : []
}
