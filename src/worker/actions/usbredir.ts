import type { Duplex } from 'node:stream'
import { conflict } from '../../lib/errors.ts'
import { refusedSubject } from '../../kinds/kind.ts'
import { VMIS } from '../../kinds/table.ts'
import type { Guest } from '../guest/guest.ts'

/** How QEMU's command line calls the slots, with a number behind. Source: `src/qemu/argv/usb.ts`. */
const SLOT = /^ur\d$/

/**
 * A place for a USB device that the client brings along, in the usbredir protocol. Throws 409 where the guest does not run
 * or has no such places, 503 where all are taken, and the reason of `signal`.
 */
export async function openUsbRedir(guest: Guest, signal?: AbortSignal): Promise<Duplex> {
  const machine = guest.machine()
  return guest.attempt(async () => {
    const chardevs = await machine.command<{ label: string }[]>('query-chardev')
    const count = chardevs.filter(({ label }) => SLOT.test(label)).length
    if (count === 0) {
      const { name } = guest.report.guest
      throw conflict(
        refusedSubject(VMIS),
        name,
        'it takes no USB devices of clients: set devices.clientPassthrough and restart it',
      )
    }
    signal?.throwIfAborted()
    return machine.usb.open(count)
  })
}
