import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import type { VncOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import { noteTakeOver, userOf } from './take-over.ts'

/**
 * The guest's display. Where as many watch as may, it is taken over from whoever has watched longest, which leaves an
 * Event. Throws 400 where the guest has none, 409 where it does not run, 503 where nobody is to be disturbed, and the
 * reason of `signal`.
 */
export async function openVnc(
  guest: Guest,
  options: VncOptions,
  log: Log,
  signal?: AbortSignal,
): Promise<Duplex> {
  const { display } = guest.machine()
  if (!display) throw badRequest('the guest has no display: autoattachGraphicsDevice is false')
  if (!(options.maxSessions >= 1)) throw badRequest(`maxSessions is ${options.maxSessions}; it is at least 1`)
  // A client that has gone takes over from nobody.
  signal?.throwIfAborted()
  const user = userOf(options)
  const { stream, displaced } = await display.open({ ...options, user })
  for (const from of displaced) noteTakeOver(guest, log, { stream: 'VNC', from, to: user })
  return stream
}
