import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { VsockOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import { dialVsock } from '../network/vsock.ts'
import type { WorkerParts } from '../parts.ts'

const PORT_LIMIT = 2 ** 32 - 1

/**
 * A connection to a vsock port in the guest, at the context id that this worker gave it. Throws 400 for what is no port
 * and where the guest has no vsock, 409 where it does not run, 503 and 504 as `dialVsock`.
 */
export async function openVsock(
  guest: Guest,
  { port, tls }: VsockOptions,
  { socat, clock }: Pick<WorkerParts, 'socat' | 'clock'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > PORT_LIMIT) throw badRequest(`${port} is no vsock port`)
  const { tunnels } = guest.machine()
  const cid = guest.report.status.VSOCKCID
  if (cid === undefined) throw badRequest('the guest has no vsock: autoattachVSOCK is not set')
  return tunnels.open(() => dialVsock({ cid, port, tls, socat, clock, signal }))
}
