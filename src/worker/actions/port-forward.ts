import type { Duplex } from 'node:stream'
import { badRequest, serviceUnavailable, type StatusError } from '../../lib/errors.ts'
import type { PortForwardOptions } from '../../rpc/actions.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import { ForwardFailed } from '../network/user-net.ts'

const PORT_LIMIT = 65_535

/**
 * A connection to a port in the guest, as `dialGuestPort` makes it.
 *
 * Throws 400 for what is no port, 409 where the guest does not run, or has no address that this node knows of, 503
 * where nothing listens in the guest or QEMU cannot listen for it, 504 where it does not answer within 10 s.
 */
export async function openPortForward(
  guest: Guest,
  options: PortForwardOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<Duplex> {
  const { port } = options
  if (!Number.isInteger(port) || port < 1 || port > PORT_LIMIT) throw badRequest(`${port} is no port`)
  const machine = guest.machine()
  return guest.attempt(() =>
    machine.tunnels.open(async () => {
      const stream = await guest.dialPort(machine, options, signal).catch((error: unknown) => {
        throw error instanceof ForwardFailed ? serviceUnavailable(error.message) : error
      })
      if (stream) return stream
      throw guest.taps.length > 0 ? notYet(guest) : noAddress(guest)
    }),
  )
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
