import type { Duplex } from 'node:stream'
import { badRequest, serviceUnavailable, type StatusError } from '../../lib/errors.ts'
import type { PortForwardOptions } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import type { Machine } from '../guest/machine.ts'
import type { Guests } from '../guests.ts'
import { dialTcp } from '../network/tcp.ts'
import { dialUdp } from '../network/udp.ts'
import { ForwardFailed, readUserNets } from '../network/user-net.ts'
import type { WorkerParts } from '../parts.ts'

const PORT_LIMIT = 65_535

/** What connecting takes. */
export type PortForwardParts = Pick<WorkerParts, 'clock' | 'log' | 'taps'> & { guests: Guests }

/**
 * A connection to a port in the guest, through the first user-mode network that it has: at the address that QEMU
 * assigned there, whatever the guest says of itself; without one, through a bridge, at an address that was assigned or
 * watched. UDP: datagrams as in `lib/datagrams.ts`.
 *
 * Throws 400 for what is no port, 409 where the guest does not run, or has no address that this node knows of, 503
 * where nothing listens in the guest, 504 where it does not answer within 10 s.
 */
export async function openPortForward(
  guest: Guest,
  options: PortForwardOptions,
  parts: PortForwardParts,
  signal: AbortSignal = new AbortController().signal,
): Promise<Duplex> {
  const { port, protocol } = options
  if (!Number.isInteger(port) || port < 1 || port > PORT_LIMIT) throw badRequest(`${port} is no port`)
  const machine = guest.machine()
  return guest.attempt(async () => {
    const [network] = (await readUserNets(machine)).networks
    if (network === undefined) return forwardToBridge(guest, machine, options, { ...parts, signal })
    const { tunnels } = machine
    const how = { machine, clock: parts.clock, signal, listeners: tunnels.listeners }
    const dial = protocol === 'tcp' ? dialTcp : dialUdp
    try {
      return await tunnels.open(() => dial({ network, port }, how))
    } catch (error) {
      if (error instanceof ForwardFailed) throw serviceUnavailable(error.message)
      throw error
    }
  })
}

async function forwardToBridge(
  guest: Guest,
  { tunnels }: Machine,
  options: PortForwardOptions,
  { guests, ...parts }: PortForwardParts & { signal: AbortSignal },
): Promise<Duplex> {
  const others = guests.list().flatMap((other) => (other === guest ? [] : other.taps))
  return tunnels.open(async () => {
    const stream = await guest.dialBridged(options, { ...parts, others })
    if (stream) return stream
    throw guest.taps.length > 0 ? notYet(guest) : noAddress(guest)
  })
}

function notYet({ report }: Guest): StatusError {
  return refuse(
    report.guest,
    'its node does not know its address on the bridge: it has not asked a DHCP server for one, nor spoken of one',
  )
}

function noAddress({ report }: Guest): StatusError {
  return refuse(
    report.guest,
    'it has no address that its node has assigned, so no port of it can be forwarded: give it an interface with masquerade: {} on the pod network',
  )
}
