import type { Duplex } from 'node:stream'
import type { PortForwardOptions } from '../../rpc/actions.ts'
import type { Machine } from '../guest/machine.ts'
import { type BridgedParts, dialBridged } from './bridge/forward.ts'
import { dialTcp } from './tcp.ts'
import { dialUdp } from './udp.ts'
import { readUserNets } from './user-net.ts'

/** What dialling a guest takes. */
export interface GuestPortParts extends BridgedParts {
  machine: Machine
}

/**
 * A connection to a port in the guest, through the first user-mode network that it has: at the address that QEMU
 * assigned there, whatever the guest says of itself; without one, through a bridge, at an address that was assigned or
 * watched. UDP: datagrams as in `lib/datagrams.ts`. `undefined` where no address of it is known.
 *
 * Throws 503 where nothing listens in the guest, 504 where it does not answer within 10 s, `ForwardFailed`, as
 * `Machine.command`, and the reason of `signal`.
 */
export async function dialGuestPort(
  options: PortForwardOptions,
  parts: GuestPortParts,
): Promise<Duplex | undefined> {
  const { machine, clock, signal } = parts
  const { port, protocol } = options
  const [network] = (await readUserNets(machine)).networks
  if (network === undefined) return dialBridged(options, parts)
  const dial = protocol === 'tcp' ? dialTcp : dialUdp
  return dial({ network, port }, { machine, clock, signal, listeners: machine.tunnels.listeners })
}
