import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { Guest } from '../guest/guest.ts'

/**
 * The guest's serial console, from now on: what it printed before is not repeated (contract RW-8). Takes over from
 * the session before. Throws 400 where the guest has no serial port, 409 where it does not run.
 */
export async function openConsole(guest: Guest): Promise<Duplex> {
  const { serial } = guest.machine()
  if (!serial) throw badRequest('the guest has no serial console: autoattachSerialConsole is false')
  return serial.open()
}
