import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { VncOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'

/**
 * The guest's display. Throws 400 where it has none, 409 where it does not run, 503 where somebody else watches and
 * is not to be disturbed.
 */
export async function openVnc(guest: Guest, options: VncOptions): Promise<Duplex> {
  const { display } = guest.machine()
  if (!display) throw badRequest('the guest has no display: autoattachGraphicsDevice is false')
  return display.open(options)
}
