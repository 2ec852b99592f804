import type { Duplex } from 'node:stream'
import { badRequest, serviceUnavailable } from '../../lib/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { PortForwardOptions } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import { dialTcp } from '../network/tcp.ts'
import { dialUdp } from '../network/udp.ts'
import { ForwardFailed, readUserNets } from '../network/user-net.ts'

const PORT_LIMIT = 65_535

/**
 * A connection to a port in the guest, through the first user-mode network that it has: at the address that QEMU
 * assigned there, whatever the guest says of itself. UDP: datagrams as in `lib/datagrams.ts`.
 *
 * Throws 400 for what is no port, 409 where the guest does not run, or has no address that this node assigned, 503
 * where nothing listens in the guest, 504 where it does not answer within 10 s.
 */
export async function openPortForward(
  guest: Guest,
  { port, protocol }: PortForwardOptions,
  clock: Clock,
  signal: AbortSignal = new AbortController().signal,
): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > PORT_LIMIT) throw badRequest(`${port} is no port`)
  const machine = guest.machine()
  return guest.attempt(async () => {
    const [network] = (await readUserNets(machine)).networks
    if (network === undefined) {
      throw refuse(
        guest.report.guest,
        'it has no address that its node has assigned, so no port of it can be forwarded: give it an interface with masquerade: {} on the pod network',
      )
    }
    const { tunnels } = machine
    const parts = { machine, clock, signal, listeners: tunnels.listeners }
    const dial = protocol === 'tcp' ? dialTcp : dialUdp
    try {
      return await tunnels.open(() => dial({ network, port }, parts))
    } catch (error) {
      if (error instanceof ForwardFailed) throw serviceUnavailable(error.message)
      throw error
    }
  })
}
