import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import type { ConsoleOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import { noteTakeOver, userOf } from './take-over.ts'

/**
 * The guest's serial console, from now on: what it printed before is not repeated (contract RW-8). Whoever types takes
 * over from whoever did, which leaves an Event. Throws 400 where the guest has no serial port, 409 where it does not run,
 * 503 where somebody types and is not to be disturbed, and the reason of `signal`.
 */
export async function openConsole(
  guest: Guest,
  options: ConsoleOptions,
  log: Log,
  signal?: AbortSignal,
): Promise<Duplex> {
  const { serial } = guest.machine()
  if (!serial) throw badRequest('the guest has no serial console: autoattachSerialConsole is false')
  // A client that has gone takes over from nobody.
  signal?.throwIfAborted()
  const { session, displaced } = serial.open({ ...options, user: userOf(options) })
  if (displaced !== undefined)
    noteTakeOver(guest, log, { stream: 'console', from: displaced, to: session.user })
  return session
}
